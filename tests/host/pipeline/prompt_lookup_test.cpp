/** @file prompt_lookup_test.cpp
 *  Guessing alone; whole answers are in generate_test.cpp.
 */
#include "host/pipeline/prompt_lookup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace vlm {
namespace {

using ::testing::ElementsAre;
using Ids = std::vector<int32_t>;

TEST(PromptLookup, TakesWhatFollowedTheLatestOccurrence) {
    const Ids history = {1, 2, 3, 40, 41, 1, 2, 3, 50, 51, 52, 9, 1, 2, 3};
    EXPECT_THAT(look_up(history, 2), ElementsAre(50, 51));
    EXPECT_THAT(look_up(history, 100), ElementsAre(50, 51, 52, 9, 1, 2, 3));
}

TEST(PromptLookup, FallsBackToTwoIds) {
    EXPECT_THAT(look_up(Ids{7, 2, 3, 60, 8, 2, 3}, 1), ElementsAre(60));
}

TEST(PromptLookup, PrefersTheLongerMatch) {
    EXPECT_THAT(look_up(Ids{1, 2, 3, 70, 9, 2, 3, 80, 1, 2, 3}, 1), ElementsAre(70));
}

TEST(PromptLookup, ARepeatedIdOverlapsItself) {
    EXPECT_THAT(look_up(Ids{5, 5, 5, 5}, 3), ElementsAre(5));
}

TEST(PromptLookup, FindsNothing) {
    EXPECT_TRUE(look_up(Ids{}, 4).empty());
    EXPECT_TRUE(look_up(Ids{1}, 4).empty());
    EXPECT_TRUE(look_up(Ids{1, 2}, 4).empty());
    EXPECT_TRUE(look_up(Ids{1, 2, 3, 4, 5, 6}, 4).empty());
    EXPECT_TRUE(look_up(Ids{1, 2, 3, 1, 2, 3}, 0).empty());
    EXPECT_TRUE(look_up(Ids{3, 9, 3}, 4).empty()) << "a single id is no match";
}

TEST(GuessLength, GrowsWhileGuessesAreRight) {
    GuessLength length(10);
    EXPECT_EQ(length.next(), 3);
    length.learn(3, 3);
    EXPECT_EQ(length.next(), 6);
    length.learn(6, 6);
    EXPECT_EQ(length.next(), 10);
    length.learn(10, 4);
    EXPECT_EQ(length.next(), 4);
}

TEST(GuessLength, NeverExceedsWhatMayBeGuessed) {
    GuessLength length(2);
    EXPECT_EQ(length.next(), 2);
    length.learn(2, 2);
    EXPECT_EQ(length.next(), 2);
    EXPECT_EQ(GuessLength(0).next(), 0);
}

TEST(GuessLength, WrongGuessesCostEverFewerSteps) {
    GuessLength length(8);
    std::vector<int64_t> steps;
    int64_t rows = 0;
    for (int64_t step = 0; step < 200; ++step)
        if (const int64_t guesses = length.next(); guesses > 0) {
            steps.push_back(step);
            rows += guesses;
            length.learn(guesses, 0);
        }
    EXPECT_THAT(steps, ElementsAre(0, 2, 5, 10, 19, 36, 69, 102, 135, 168));
    EXPECT_EQ(rows, 12) << "one guess each after the first three";
}

TEST(GuessLength, ARightGuessEndsTheCaution) {
    GuessLength length(8);
    for (int i = 0; i < 3; ++i) {
        while (length.next() == 0) {
        }
        length.learn(1, 0);
    }
    while (length.next() == 0) {
    }
    length.learn(1, 1);
    EXPECT_EQ(length.next(), 2);
    length.learn(2, 0);
    EXPECT_EQ(length.next(), 0);
    EXPECT_EQ(length.next(), 1);
}

TEST(NearlyTied, ComparesWithTheSpread) {
    EXPECT_FALSE(nearly_tied(std::vector<float>{0, 0, 0, 10, 5}));
    EXPECT_FALSE(nearly_tied(std::vector<float>{10, 0, 0, 0, 5}));
    EXPECT_TRUE(nearly_tied(std::vector<float>{0, 0, 0, 10, 9.9f}));
    EXPECT_TRUE(nearly_tied(std::vector<float>{9.9f, 10, 0, 0, 0}));
    EXPECT_TRUE(nearly_tied(std::vector<float>{0, 10, 0, 10}));
    EXPECT_TRUE(nearly_tied(std::vector<float>{1, 1, 1, 1}));
    EXPECT_FALSE(nearly_tied(std::vector<float>{1}));
    EXPECT_TRUE(nearly_tied(std::vector<float>{0, std::numeric_limits<float>::quiet_NaN(), 1}));
}

}  // namespace
}  // namespace vlm
