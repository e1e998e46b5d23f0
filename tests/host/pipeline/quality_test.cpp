/** @file quality_test.cpp
 *  Comparing predictions: known divergences, favourites, sums over answers, and what cannot be compared.
 */
#include "host/pipeline/quality.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/base/error.hpp"

namespace vlm {
namespace {

TEST(Quality, EqualPredictionsDoNotDiffer) {
    // A constant added to all logits is the same distribution.
    const TaughtAnswer a{{2, 0}, {1, 2, 3, 4, -1, 0}}, b{{2, 0}, {11, 12, 13, 4, -1, 0}};
    const LogitDifference d = compare_logits(a, b);
    EXPECT_EQ(d.positions, 2);
    EXPECT_EQ(d.same_favourite, 2);
    EXPECT_EQ(d.same_answers, 1);
    EXPECT_NEAR(d.kl_max, 0, 1e-12);
}

TEST(Quality, KnownDivergence) {
    // p = (3/4, 1/4), q = (1/4, 3/4): sum p log(p/q) = log(3) / 2.
    const float big = std::log(3.0f);
    const TaughtAnswer a{{0, 0}, {big, 0, big, 0}}, b{{0, 0}, {0, big, big, 0}};
    const LogitDifference d = compare_logits(a, b);
    EXPECT_EQ(d.same_favourite, 1);
    EXPECT_EQ(d.same_answers, 0);
    EXPECT_NEAR(d.kl_max, std::log(3.0) / 2, 1e-6);
    EXPECT_NEAR(d.kl_mean(), std::log(3.0) / 4, 1e-6);
    EXPECT_DOUBLE_EQ(d.agreement(), 0.5);
    // The other way round it is another number in general; here the two are each other's mirror.
    EXPECT_NEAR(compare_logits(b, a).kl_max, d.kl_max, 1e-6);
}

TEST(Quality, ImpossibleTokensAndLargeLogitsAreFinite) {
    const TaughtAnswer a{{0}, {900, -INFINITY, -900}}, b{{0}, {900, 0, -900}};
    EXPECT_NEAR(compare_logits(a, b).kl_max, 0, 1e-12);
}

TEST(Quality, Sums) {
    LogitDifference sum;
    EXPECT_DOUBLE_EQ(sum.agreement(), 1);
    EXPECT_DOUBLE_EQ(sum.kl_mean(), 0);
    sum.add(compare_logits({{0}, {1, 0}}, {{0}, {1, 0}}));
    sum.add(compare_logits({{0, 1, 1}, {1, 0, 1, 0, 1, 0}}, {{0, 1, 1}, {0, 1, 1, 0, 1, 0}}));
    EXPECT_EQ(sum.positions, 4);
    EXPECT_EQ(sum.same_favourite, 3);
    EXPECT_EQ(sum.answers, 2);
    EXPECT_EQ(sum.same_answers, 1);
}

TEST(Quality, DifferentAnswersAreRefused) {
    EXPECT_THROW(compare_logits({{0}, {1, 0}}, {{1}, {1, 0}}), Error);
    EXPECT_THROW(compare_logits({{0}, {1, 0}}, {{0}, {1, 0, 0}}), Error);
    EXPECT_EQ(compare_logits({{}, {}}, {{}, {}}).positions, 0);
}

}  // namespace
}  // namespace vlm
