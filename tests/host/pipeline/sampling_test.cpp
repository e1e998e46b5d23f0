/** @file sampling_test.cpp
 *  Sampling against distributions that can be worked out by hand.
 */
#include "host/pipeline/sampling.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <random>
#include <set>

#include "host/base/error.hpp"

namespace {

using vlm::GenerationOptions;
using vlm::Sampler;

/** Logits of the probabilities 0.4, 0.3, 0.2, 0.1 in mixed order. */
const std::vector<float> kLogits = {std::log(0.2F), std::log(0.4F), std::log(0.1F), std::log(0.3F)};

GenerationOptions warm(double temperature = 1) {
    GenerationOptions options;
    options.temperature = temperature;
    options.seed = 42;
    return options;
}

std::map<int32_t, double> shares(const GenerationOptions& options, const std::vector<int32_t>& history = {}) {
    constexpr int kDraws = 20'000;
    Sampler sampler(options, 0);
    std::map<int32_t, double> share;
    for (int i = 0; i < kDraws; ++i) share[sampler.choose(kLogits, history).id] += 1.0 / kDraws;
    return share;
}

TEST(Sampling, OptionsOutsideTheirRangeAreNamed) {
    const auto refusal = [](auto member, auto value) -> std::string {
        GenerationOptions options;
        options.*member = value;
        try {
            vlm::check_generation(options);
        } catch (const vlm::Error& error) {
            return error.what();
        }
        return "";
    };
    constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
    EXPECT_EQ(refusal(&GenerationOptions::temperature, kNaN), "temperature is no finite number; expected 0.0 to 100.0");
    EXPECT_EQ(refusal(&GenerationOptions::top_p, 1.5), "top_p is 1.5; expected 0.0 to 1.0");
    EXPECT_EQ(refusal(&GenerationOptions::top_p, 1.0), "");
    EXPECT_NE(refusal(&GenerationOptions::min_p, -0.1), "");
    EXPECT_NE(refusal(&GenerationOptions::repetition_penalty, 0.0), "");
    EXPECT_NE(refusal(&GenerationOptions::max_new_tokens, int64_t{-1}), "");
    EXPECT_NE(refusal(&GenerationOptions::top_k, int64_t{-1}), "");
    EXPECT_NE(refusal(&GenerationOptions::prompt_lookup, int64_t{65}), "");
    EXPECT_NE(refusal(&GenerationOptions::stop, std::vector<std::string>{""}), "");
}

TEST(Sampling, GreedyTakesTheBestAndTheFirstOfEquals) {
    Sampler sampler({}, 0);
    EXPECT_EQ(sampler.choose(kLogits, {}).id, 1);
    const std::vector<float> equal = {0, 5, 5, 1};
    EXPECT_EQ(sampler.choose(equal, {}).id, 1);
    const std::vector<float> infinite = {0, -std::numeric_limits<float>::infinity(), -1};
    EXPECT_EQ(sampler.choose(infinite, {}).id, 0);
}

TEST(Sampling, LogProbabilityIsThatOfTheModelWhateverTheSettings) {
    EXPECT_NEAR(vlm::log_probability_of(kLogits, 1), std::log(0.4), 1e-6);
    auto options = warm(0.3);
    options.top_k = 1;
    options.repetition_penalty = 2;
    Sampler sampler(options, 0);
    const auto choice = sampler.choose(kLogits, std::vector<int32_t>{0});
    EXPECT_NEAR(choice.log_probability, vlm::log_probability_of(kLogits, choice.id), 1e-6);
    const std::vector<float> large = {1000, 999};
    EXPECT_NEAR(vlm::log_probability_of(large, 1), -1.3132617, 1e-5);
}

TEST(Sampling, DrawsFromTheDistribution) {
    const auto share = shares(warm());
    EXPECT_NEAR(share.at(1), 0.4, 0.015);
    EXPECT_NEAR(share.at(3), 0.3, 0.015);
    EXPECT_NEAR(share.at(0), 0.2, 0.015);
    EXPECT_NEAR(share.at(2), 0.1, 0.015);
}

TEST(Sampling, TemperatureSharpens) {
    // Squared probabilities: 0.16, 0.09, 0.04, 0.01 of 0.3.
    EXPECT_NEAR(shares(warm(0.5)).at(1), 0.16 / 0.3, 0.015);
    EXPECT_GT(shares(warm(100)).at(2), 0.23);
}

TEST(Sampling, TopKKeepsTheKBest) {
    auto options = warm();
    options.top_k = 2;
    const auto share = shares(options);
    EXPECT_EQ(share.size(), 2u);
    EXPECT_NEAR(share.at(1), 4.0 / 7, 0.015);
    options.top_k = 100;
    EXPECT_EQ(shares(options).size(), 4u);
}

TEST(Sampling, TopPKeepsTheSmallestSetThatReachesP) {
    auto options = warm();
    options.top_p = 0.65;
    EXPECT_EQ(shares(options).size(), 2u);
    options.top_p = 0.75;
    EXPECT_EQ(shares(options).size(), 3u);
    options.top_p = 0.0001;
    EXPECT_EQ(shares(options).size(), 1u);
}

TEST(Sampling, MinPIsRelativeToTheBest) {
    auto options = warm();
    options.min_p = 0.6;  // 0.24 of 0.4: keeps 0.4 and 0.3
    EXPECT_EQ(shares(options).size(), 2u);
    options.min_p = 0.4;  // 0.16: keeps 0.2 as well
    EXPECT_EQ(shares(options).size(), 3u);
    options.min_p = 1;
    EXPECT_EQ(shares(options).size(), 1u);
}

TEST(Sampling, RepetitionPenaltyDividesPositiveAndMultipliesNegativeScores) {
    GenerationOptions options;
    options.repetition_penalty = 2;
    Sampler sampler(options, 0);
    const std::vector<float> positive = {4, 3};
    EXPECT_EQ(sampler.choose(positive, std::vector<int32_t>{0}).id, 1);
    EXPECT_EQ(sampler.choose(positive, std::vector<int32_t>{0, 0, 0}).id, 1);
    EXPECT_EQ(sampler.choose(positive, std::vector<int32_t>{1}).id, 0);
    const std::vector<float> negative = {-1, -1.5F};
    EXPECT_EQ(sampler.choose(negative, std::vector<int32_t>{0}).id, 1);
    // Ids that the vocabulary does not have (an image's place) are passed over.
    EXPECT_EQ(sampler.choose(positive, std::vector<int32_t>{-1, 99}).id, 0);
}

TEST(Sampling, ASeedGivesTheSameTextEverywhere) {
    const auto draw = [](uint64_t seed, uint64_t sequence) {
        auto options = warm();
        options.seed = seed;
        Sampler sampler(options, sequence);
        std::vector<int32_t> ids;
        for (int i = 0; i < 24; ++i) ids.push_back(sampler.choose(kLogits, {}).id);
        return ids;
    };
    EXPECT_EQ(draw(7, 0), draw(7, 0));
    EXPECT_NE(draw(7, 0), draw(8, 0));
    EXPECT_NE(draw(7, 0), draw(7, 1));
}

/** What a device finds of a row. */
vlm::TopLogits largest_of(const std::vector<float>& row, int64_t count) {
    std::vector<int32_t> order(row.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)]; });
    vlm::TopLogits top;
    for (size_t i = 0; i < static_cast<size_t>(count); ++i) {
        top.ids.push_back(order[i]);
        top.logits.push_back(row[static_cast<size_t>(order[i])]);
    }
    double sum = 0;
    for (const float x : row) sum += std::exp(static_cast<double>(x) - static_cast<double>(top.logits[0]));
    top.log_sum = std::log(sum);
    return top;
}

TEST(Sampling, TheLargestLogitsGiveTheChoiceOfTheWholeRow) {
    std::mt19937 generator(3);
    std::normal_distribution<float> normal(0, 3);
    std::vector<float> row(300);
    for (const int64_t top_k : {0, 1, 5, 40}) {
        auto options = warm(top_k == 0 ? 0 : 0.8);
        options.top_k = top_k;
        options.top_p = 0.9;
        options.min_p = 0.01;
        Sampler whole(options, 7), part(options, 7);
        const int64_t needed = part.needed();
        EXPECT_EQ(needed, top_k == 0 ? 1 : top_k);
        for (int draw = 0; draw < 200; ++draw) {
            // Coarse, so that there are equal ones.
            for (float& x : row) x = std::round(2 * normal(generator)) / 2;
            const auto expected = whole.choose(row, {}), found = part.choose(largest_of(row, needed));
            ASSERT_EQ(found.id, expected.id) << "top_k " << top_k << ", draw " << draw;
            ASSERT_FLOAT_EQ(found.log_probability, expected.log_probability);
        }
    }
}

TEST(Sampling, WhatNeedsTheWholeRowSaysSo) {
    EXPECT_EQ(Sampler(warm(), 0).needed(), 0);  // top-p sums over everything
    GenerationOptions penalty;
    penalty.repetition_penalty = 1.1;
    EXPECT_EQ(Sampler(penalty, 0).needed(), 0);
    auto both = warm();
    both.top_k = 3;
    both.repetition_penalty = 1.1;
    EXPECT_EQ(Sampler(both, 0).needed(), 0);
}

TEST(Sampling, RefusesWhatIsNoDistribution) {
    const std::vector<float> nan = {std::nanf(""), 1};
    Sampler greedy({}, 0);
    EXPECT_THROW(greedy.choose({}, {}), vlm::Error);
    EXPECT_THROW(greedy.choose(nan, {}), vlm::Error);
    EXPECT_THROW(greedy.choose(vlm::TopLogits{}), vlm::Error);
    EXPECT_THROW(greedy.choose(vlm::TopLogits{{-1}, {0.0F}, 0, false}), vlm::Error);
}

}  // namespace
