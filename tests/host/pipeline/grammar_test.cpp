/** @file grammar_test.cpp
 *  Which texts follow a grammar, and that every mistake in one is told with its line.
 */
#include "host/pipeline/grammar.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/error.hpp"

namespace vlm {
namespace {

using testing::HasSubstr;

/** Whether the whole text is an answer. */
bool follows(const char* grammar, std::string_view text) {
    GrammarState state(Grammar::parse(grammar, "test"));
    return state.advance(text) && state.may_end();
}

std::string refusal(const std::string& grammar) {
    try {
        Grammar::parse(grammar, "answer.gbnf");
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        return error.what();
    }
    ADD_FAILURE() << "accepted: " << grammar;
    return {};
}

TEST(Grammar, LiteralsClassesAndRepetitions) {
    const char* number = "root ::= \"-\"? [0-9]+ (\".\" [0-9]+)?";
    for (const char* good : {"0", "-17", "3.14", "-0.5"}) EXPECT_TRUE(follows(number, good)) << good;
    for (const char* bad : {"", "-", "3.", ".5", "1.2.3", "1e5"}) EXPECT_FALSE(follows(number, bad)) << bad;
    EXPECT_TRUE(follows("root ::= [^<]* \"<\"", "정 5mg<"));
    EXPECT_FALSE(follows("root ::= [^<]* \"<\"", "a<<"));
    EXPECT_TRUE(follows("root ::= \"\\\"\\x41\\n\\\\\"", "\"A\n\\"));
}

TEST(Grammar, RulesNestAndRecurse) {
    const char* json = R"(
# values
root   ::= value
value  ::= "{" ws (pair ("," ws pair)*)? "}" ws | "[" ws (value ("," ws value)*)? "]" ws | string | [0-9]+ ws
pair   ::= string ":" ws value
string ::= "\"" [^"]* "\"" ws
ws     ::= [ \n]*
)";
    for (const char* good : {"{}", R"({"a": [1, 2, {"b": "약"}], "c": []})", "[[[[1]]]]", "7"})
        EXPECT_TRUE(follows(json, good)) << good;
    for (const char* bad : {"{", R"({"a" 1})", "[1,]", "[1]]", R"({"a": 1)"}) EXPECT_FALSE(follows(json, bad)) << bad;
}

TEST(Grammar, AlternativesMayStandOnLinesOfTheirOwn) {
    const char* grammar = "root ::= \"a\"  # first\n  | \"b\" |\n  \"c\"\n\nother ::= \"d\"\n";
    for (const char* good : {"a", "b", "c"}) EXPECT_TRUE(follows(grammar, good)) << good;
    EXPECT_FALSE(follows(grammar, "d"));
}

TEST(Grammar, ARefusedTextChangesNothing) {
    GrammarState state(Grammar::parse("root ::= \"abc\" | \"abd\"", "test"));
    ASSERT_TRUE(state.advance("ab"));
    EXPECT_FALSE(state.accepts("x"));
    EXPECT_FALSE(state.advance("cc"));
    EXPECT_FALSE(state.may_end());
    EXPECT_EQ(state.next().count(), 2u);
    EXPECT_TRUE(state.advance("d"));
    EXPECT_TRUE(state.may_end());
    EXPECT_EQ(state.next().count(), 0u);
}

TEST(Grammar, LongAnswersStaySmall) {
    GrammarState state(Grammar::parse("root ::= [^<]* \"<\" | item\nitem ::= [a-z] item | \".\"", "test"));
    for (int i = 0; i < 20000; ++i) ASSERT_TRUE(state.advance("a"));
    EXPECT_TRUE(state.advance("."));
}

TEST(Grammar, MistakesAreToldWithTheirLine) {
    EXPECT_THAT(refusal(""), HasSubstr("no rule"));
    EXPECT_THAT(refusal("root ::= \"a\"\nitem : \"b\""), AllOf(HasSubstr("answer.gbnf, line 2"), HasSubstr("::=")));
    EXPECT_THAT(refusal("root ::= \"a"), HasSubstr("closing quote"));
    EXPECT_THAT(refusal("root ::= [a-z"), HasSubstr("closing ]"));
    EXPECT_THAT(refusal("root ::= [z-a]"), HasSubstr("backwards"));
    EXPECT_THAT(refusal("root ::= [가]"), HasSubstr("ASCII"));
    EXPECT_THAT(refusal("root ::= (\"a\""), HasSubstr("expected )"));
    EXPECT_THAT(refusal("root ::= *"), HasSubstr("name of a rule"));
    EXPECT_THAT(refusal("root ::= other"), HasSubstr("\"other\" is used and not given"));
    EXPECT_THAT(refusal("root ::= \"a\"\nroot ::= \"b\""), HasSubstr("given twice"));
    EXPECT_THAT(refusal("root ::= \"\\q\""), HasSubstr("escape"));
    EXPECT_THAT(refusal("root ::= root \"a\" | \"b\""), HasSubstr("\"root\" can begin with itself"));
    EXPECT_THAT(refusal("root ::= maybe root\nmaybe ::= \"a\"?"), HasSubstr("begin with itself"));
    EXPECT_THAT(refusal("root ::= (\"a\"*)*"), HasSubstr("begin with itself"));
    EXPECT_THAT(refusal("root ::= " + std::string(100, '(') + "\"a\"" + std::string(100, ')')), HasSubstr("nested"));
}

}  // namespace
}  // namespace vlm
