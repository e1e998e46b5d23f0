/** @file confidence_test.cpp
 *  Confidence from log-probabilities: the weakest token must show, odd numbers must not get through.
 */
#include "plugins/drug_validator/confidence.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace vlm::drug_validator {
namespace {

TEST(Confidence, MeanAndWeakestToken) {
    const std::vector<Token> tokens{{0, 2, std::log(0.9)}, {2, 4, std::log(0.5)}, {4, 6, std::log(0.1)}};
    const double expected = std::exp(((std::log(0.9) + std::log(0.5)) / 2 + std::log(0.5)) / 2);
    EXPECT_NEAR(*reading_probability(tokens, {{1, 3}}), expected, 1e-12);
    EXPECT_NEAR(*reading_probability(tokens, {{4, 5}}), 0.1, 1e-12);
    EXPECT_LT(*reading_probability(tokens, {}), expected);
    EXPECT_EQ(reading_probability(tokens, {{50, 60}}), reading_probability(tokens, {}));
    EXPECT_FALSE(reading_probability({}, {{0, 1}}));
}

TEST(Confidence, OddLogProbabilities) {
    EXPECT_DOUBLE_EQ(*reading_probability({{0, 1, 3.0}}, {{0, 1}}), 1.0);
    EXPECT_LT(*reading_probability({{0, 1, std::nan("")}}, {{0, 1}}), 1e-40);
    EXPECT_LT(*reading_probability({{0, 1, -std::numeric_limits<double>::infinity()}}, {{0, 1}}), 1e-40);
}

TEST(Confidence, CalibrationIsMonotonousAndIdentityByDefault) {
    EXPECT_NEAR(calibrate(0.7, {}), 0.7, 1e-12);
    EXPECT_NEAR(calibrate(0.9, {2, 0}), 0.75, 1e-12);  // odds 9 -> 3
    EXPECT_GT(calibrate(0.7, {1, 1}), 0.7);
    EXPECT_GT(calibrate(1.0, {1, 0}), 0.999);
    EXPECT_LT(calibrate(1.0, {1, 0}), 1.0);
    EXPECT_GT(calibrate(0.0, {1, 0}), 0.0);
    EXPECT_LT(calibrate(0.4, {3, -1}), calibrate(0.6, {3, -1}));
}

TEST(Confidence, PlacesPieces) {
    const auto t = place_tokens("<s_name>암로 5mg",
                                {{"<s_name>", -0.1}, {"암", -0.2}, {"로", -0.3}, {"missing", -9}, {"5mg", -0.4}});
    ASSERT_EQ(t.size(), 5u);
    EXPECT_EQ(t[1].begin, 8u);
    EXPECT_EQ(t[1].end, 11u);
    EXPECT_EQ(t[3].begin, t[3].end);
    EXPECT_EQ(t[4].begin, 15u);
    EXPECT_EQ(t[4].end, 18u);
}

}  // namespace
}  // namespace vlm::drug_validator
