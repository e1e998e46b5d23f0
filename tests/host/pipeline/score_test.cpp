/** @file score_test.cpp
 *  Which positions are scored, and what they cost.
 */
#include "host/pipeline/score.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/base/error.hpp"

namespace vlm {
namespace {

Segment text(std::vector<int32_t> ids) {
    Segment s;
    s.count = static_cast<int64_t>(ids.size());
    s.ids = std::move(ids);
    s.image = -1;
    return s;
}

Segment image(int64_t count) {
    Segment s;
    s.image = 0;
    s.count = count;
    return s;
}

TEST(Score, LabelsTextWhosePredecessorIsText) {
    const std::vector<Segment> segments = {text({5, 6}), image(2), text({7, 8, 9})};
    constexpr int32_t x = kNoLabel;
    EXPECT_EQ(text_labels(segments, 0), (std::vector<int32_t>{x, 6, x, x, x, 8, 9}));
    EXPECT_EQ(text_labels(segments, 4), (std::vector<int32_t>{x, x, x, x, x, x, 9}));
    EXPECT_TRUE(text_labels({}, 0).empty());
}

TEST(Score, MeanOfNegativeLogProbabilities) {
    Tensor logits(VLM_DTYPE_F32, {3, 2});
    const float values[] = {0, std::log(3.F), 0, 0, 7, 7};
    std::copy(std::begin(values), std::end(values), logits.data<float>());
    Tensor rows(VLM_DTYPE_I32, {3});
    for (int32_t i = 0; i < 3; ++i) rows.data<int32_t>()[i] = i;
    const std::vector<int32_t> labels = {kNoLabel, 1, 0};
    const auto log_p = label_log_probabilities(logits, rows, labels);
    ASSERT_EQ(log_p.size(), 2U);
    EXPECT_NEAR(log_p[0], std::log(0.75), 1e-7);
    EXPECT_NEAR(log_p[1], std::log(0.5), 1e-7);
    EXPECT_NEAR(mean_loss(log_p), -(std::log(0.75) + std::log(0.5)) / 2, 1e-7);
    EXPECT_EQ(mean_loss({}), 0);
    const std::vector<int32_t> wrong = {kNoLabel, 2, 0};
    EXPECT_THROW(label_log_probabilities(logits, rows, wrong), Error);
}

}  // namespace
}  // namespace vlm
