/** @file constraint_test.cpp
 *  Token choice under a grammar, with the vocabulary of the shipped model.
 */
#include "host/pipeline/constraint.hpp"

#include <gtest/gtest.h>

#include "host/base/error.hpp"
#include "host/pipeline/checkpoint.hpp"

namespace vlm {
namespace {

class ConstraintTest : public testing::Test {
  protected:
    ConstrainedChoice choice_of(const char* grammar) const {
        return ConstrainedChoice(std::make_shared<const Constraint>(
            Constraint{Grammar::parse(grammar, "test"), checkpoint_.token_texts(), checkpoint_.eos_ids()}));
    }
    int32_t id(const char* piece) const { return checkpoint_.tokenizer().id_of(piece).value(); }
    /** Logits that want these ids, the first most. */
    std::vector<float> wanting(std::initializer_list<int32_t> ids) const {
        std::vector<float> logits(static_cast<size_t>(checkpoint_.tokenizer().max_id()) + 1, -1);
        float wish = 10;
        for (const int32_t id : ids) logits[static_cast<size_t>(id)] = wish--;
        return logits;
    }

    Checkpoint checkpoint_{VLM_SOURCE_DIR "/models/rx-small"};
    Sampler sampler_{GenerationOptions{}, 0};
};

TEST_F(ConstraintTest, TextsOfTokensJoinToTheText) {
    const auto texts = checkpoint_.token_texts();
    const std::string text = "<s_name>암로디핀정</s_name><s_dose>5mg</s_dose>";
    std::string joined;
    for (const int32_t id : checkpoint_.tokenizer().encode(text, false)) joined += (*texts)[id];
    EXPECT_EQ(joined, text);
    EXPECT_EQ((*texts)[-1], "");
    EXPECT_EQ((*texts)[1 << 30], "");
}

TEST_F(ConstraintTest, AChoiceThatFitsIsTheModelsOwn) {
    auto choice = choice_of("root ::= \"<none/>\" | \"<s_name>\" [^<]+ \"</s_name>\"");
    const auto logits = wanting({id("<s_name>"), id("<none/>")});
    const Choice taken = choice.choose(sampler_, logits, {});
    EXPECT_EQ(taken.id, id("<s_name>"));
    EXPECT_FLOAT_EQ(taken.log_probability, log_probability_of(logits, taken.id));
}

TEST_F(ConstraintTest, AChoiceThatDoesNotFitGivesWayToTheBestThatDoes) {
    auto choice = choice_of("root ::= \"<none/>\" | \"<s_name>\" [^<]+ \"</s_name>\"");
    const auto logits = wanting({id("</s_name>"), id("<sep/>"), id("<none/>"), id("<s_name>")});
    const Choice taken = choice.choose(sampler_, logits, {});
    EXPECT_EQ(taken.id, id("<none/>"));
    EXPECT_FLOAT_EQ(taken.log_probability, log_probability_of(logits, taken.id)) << "of the unmodified distribution";
    const int32_t eos = *checkpoint_.eos_ids().begin();
    EXPECT_EQ(choice.choose(sampler_, wanting({id("<s_name>"), eos}), {}).id, eos) << "the answer is complete";
}

TEST_F(ConstraintTest, AnAnswerMayNotEndEarly) {
    auto choice = choice_of("root ::= \"<none/>\"");
    const int32_t eos = *checkpoint_.eos_ids().begin();
    EXPECT_EQ(choice.choose(sampler_, wanting({eos}), {}).id, id("<none/>"));
}

TEST_F(ConstraintTest, AGrammarThatNoTokenFollowsIsAnError) {
    // The answer is complete, and this vocabulary has no end token.
    ConstrainedChoice choice(std::make_shared<const Constraint>(
        Constraint{Grammar::parse("root ::= \"<none/>\"", "test"), checkpoint_.token_texts(), {}}));
    choice.choose(sampler_, wanting({id("<none/>")}), {});
    EXPECT_THROW(choice.choose(sampler_, wanting({id("<none/>")}), {}), Error);
}

}  // namespace
}  // namespace vlm
