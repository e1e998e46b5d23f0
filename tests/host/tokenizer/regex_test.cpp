/** @file regex_test.cpp
 *  Spans of patterns: empty matches, coverage, limits.
 */
#include "host/tokenizer/regex.hpp"

#include <gtest/gtest.h>

#include "host/base/error.hpp"

namespace {

using vlm::tok::Pattern;
using vlm::tok::Span;

/** "ab|c" with matches in brackets. */
std::string drawn(const Pattern& pattern, std::string_view text) {
    std::string out;
    for (const Span& span : pattern.spans(text)) {
        const std::string part(text.substr(span.begin, span.end - span.begin));
        out += span.match ? "[" + part + "]" : "(" + part + ")";
    }
    return out;
}

TEST(Pattern, CoversTheTextInOrder) {
    EXPECT_EQ(drawn(Pattern::regex("[0-9]+", "t"), "ab12c3"), "(ab)[12](c)[3]");
    EXPECT_EQ(drawn(Pattern::literal("..", "t"), "a....b."), "(a)[..][..](b.)");
    EXPECT_EQ(drawn(Pattern::literal("a+", "t"), "aa+"), "(a)[a+]");
    EXPECT_EQ(drawn(Pattern::regex("x", "t"), ""), "()");
}

TEST(Pattern, EmptyMatchesStepByCharacters) {
    EXPECT_EQ(drawn(Pattern::literal("", "t"), "a한"), "[](a)[](한)[]");
    EXPECT_EQ(drawn(Pattern::regex("b*", "t"), "abbc"), "[](a)[bb](c)[]");
}

TEST(Pattern, PunctuationHasSymbolsAsInTheReference) {
    EXPECT_EQ(drawn(Pattern::regex("[[:punct:]]", "t"), "a$+.p:"), "(a)[$][+][.](p)[:]");
    EXPECT_EQ(drawn(Pattern::regex("[[:^punct:]]", "t"), "a$+p"), "[a]($+)[p]");
    EXPECT_EQ(drawn(Pattern::regex("[^[:punct:]]", "t"), "a$+p"), "[a]($+)[p]");
    EXPECT_EQ(drawn(Pattern::regex("[a[:punct:]&&[^$]]", "t"), "a$+p"), "[a]($)[+](p)");
    EXPECT_EQ(drawn(Pattern::regex("[:punct:]", "t"), "a$p:"), "(a$)[p][:]") << "letters, not a class";
    EXPECT_EQ(drawn(Pattern::regex("\\[[:punct:]]", "t"), "[p]"), "[[p]]") << "an escaped bracket opens nothing";
}

TEST(Pattern, KnowsUnicodeClassesAndLookAhead) {
    EXPECT_EQ(drawn(Pattern::regex("\\p{L}+", "t"), "héé 한국 1"), "[héé]( )[한국]( 1)");
    EXPECT_EQ(drawn(Pattern::regex("\\s+(?!\\S)|\\s+", "t"), "a   b"), "(a)[  ][ ](b)");
}

TEST(Pattern, RefusesBadExpressionsAndGivesUpOnCatastrophicOnes) {
    for (const char* bad : {"(", "[a", "(?<n", "*"}) {
        try {
            Pattern::regex(bad, "file: field");
            ADD_FAILURE() << bad;
        } catch (const vlm::Error& e) {
            EXPECT_EQ(std::string(e.what()).rfind("file: field: ", 0), 0u) << e.what();
        }
    }
    const Pattern slow = Pattern::regex("(x+x+)+y", "t");
    EXPECT_THROW(slow.spans(std::string(3000, 'x')), vlm::Error);
    EXPECT_EQ(slow.spans("xxxxy").size(), 1u);
}

}  // namespace
