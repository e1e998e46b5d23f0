/** @file attention_spans_test.cpp
 *  Tokens, words and fields of an answer that share a picture.
 */
#include "host/cli/attention_spans.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace vlm::cli {
namespace {

using nlohmann::ordered_json;

/** An answer whose tokens are `pieces`, one after another. */
Answer answer_of(const std::vector<std::string>& pieces) {
    Answer answer;
    answer.image = 0;
    for (const auto& piece : pieces) {
        TokenPiece token;
        token.piece = piece;
        token.text_begin = static_cast<int64_t>(answer.text.size());
        answer.text += piece;
        token.text_end = static_cast<int64_t>(answer.text.size());
        answer.tokens.push_back(token);
    }
    return answer;
}

std::vector<std::string> labels(const std::vector<AttentionSpan>& spans) {
    std::vector<std::string> out;
    for (const auto& span : spans) out.push_back(span.label);
    return out;
}

using Labels = std::vector<std::string>;

TEST(AttentionSpans, TokensStandAlone) {
    const auto spans = attention_spans(answer_of({"Amo", "xi", " 5"}), ordered_json::object(), "token");
    EXPECT_EQ(labels(spans), (Labels{"Amo", "xi", " 5"}));
}

TEST(AttentionSpans, WordsJoinTokensUpToABlank) {
    const auto spans = attention_spans(answer_of({"Amo", "xi", " 5", "mg"}), ordered_json::object(), "word");
    EXPECT_EQ(labels(spans), (Labels{"Amoxi", " 5mg"}));
    EXPECT_EQ(spans[1].begin, 2U);
    EXPECT_EQ(spans[1].end, 4U);
}

TEST(AttentionSpans, FieldsCoverTheTokensThatPrintThem) {
    const auto extra = ordered_json::parse(R"({"drugs": [{"printed": "Amoxi", "printed_dosage": "5mg", "image": 0}]})");
    const auto spans = attention_spans(answer_of({"- A", "moxi", " 5", "mg"}), extra, "auto");
    ASSERT_EQ(labels(spans), (Labels{"printed: Amoxi", "printed_dosage: 5mg"}));
    EXPECT_EQ(spans[0].begin, 0U);
    EXPECT_EQ(spans[0].end, 2U);
    EXPECT_EQ(spans[1].begin, 2U);
    EXPECT_EQ(spans[1].end, 4U);
}

TEST(AttentionSpans, OfAnotherImageOrPlaceAreNotThisAnswers) {
    auto answer = answer_of({"Amoxi"});
    answer.region = {0, 0, 10, 10};
    const auto other_image = ordered_json::parse(R"({"drugs": [{"printed": "Amoxi", "image": 1}]})");
    const auto other_place =
        ordered_json::parse(R"({"drugs": [{"printed": "Amoxi", "image": 0, "box": [5.0, 5.0, 9.0, 9.0]}]})");
    EXPECT_TRUE(attention_spans(answer, other_image, "auto").empty());
    EXPECT_TRUE(attention_spans(answer, other_place, "field").empty());
}

TEST(AttentionSpans, AutoShowsTokensOnlyWhereNothingHasFields) {
    EXPECT_EQ(attention_spans(answer_of({"a", "b"}), ordered_json::object(), "auto").size(), 2U);
    EXPECT_TRUE(attention_spans(answer_of({"a", "b"}), ordered_json::object(), "field").empty());
}

}  // namespace
}  // namespace vlm::cli
