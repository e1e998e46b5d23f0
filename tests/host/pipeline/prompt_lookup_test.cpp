/** @file prompt_lookup_test.cpp
 *  Guessing alone; whole answers are in generate_test.cpp.
 */
#include "host/pipeline/prompt_lookup.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

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
