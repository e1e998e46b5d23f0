/** @file arena_test.cpp
 *  Places in a block: aligned, never two at once, gaps used again.
 */
#include "host/compute/cuda/arena.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace vlm::cuda {
namespace {

TEST(Arena, TakesTheFirstGapAndSaysWhenThereIsNone) {
    Arena arena(1024);
    EXPECT_TRUE(arena.idle());
    EXPECT_EQ(arena.take(1), 0);
    EXPECT_EQ(arena.take(257), 256);
    EXPECT_EQ(arena.take(0), 768);
    EXPECT_EQ(arena.take(1), std::nullopt);
    EXPECT_FALSE(arena.idle());
    EXPECT_TRUE(arena.give_back(256));
    EXPECT_FALSE(arena.give_back(256));
    EXPECT_FALSE(arena.give_back(300));
    EXPECT_EQ(arena.take(600), std::nullopt);
    EXPECT_EQ(arena.take(512), 256);
    EXPECT_EQ(Arena(0).take(0), std::nullopt);
    EXPECT_EQ(Arena(512).take(int64_t{1} << 62), std::nullopt);
}

TEST(Arena, NeverGivesAPlaceTwice) {
    Arena arena(1 << 16);
    std::mt19937 generator(1);
    std::vector<std::pair<int64_t, int64_t>> taken;
    for (int i = 0; i < 5000; ++i) {
        if (!taken.empty() && generator() % 2 == 0) {
            const size_t which = generator() % taken.size();
            ASSERT_TRUE(arena.give_back(taken[which].first));
            taken.erase(taken.begin() + static_cast<std::ptrdiff_t>(which));
            continue;
        }
        const int64_t bytes = generator() % 3000;
        const auto place = arena.take(bytes);
        if (!place) continue;
        ASSERT_EQ(*place % 256, 0);
        ASSERT_LE(*place + bytes, arena.bytes());
        for (const auto& [offset, size] : taken) ASSERT_TRUE(*place + bytes <= offset || offset + size <= *place);
        taken.emplace_back(*place, bytes);
    }
}

}  // namespace
}  // namespace vlm::cuda
