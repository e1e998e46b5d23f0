#include "host/compute/cpu/scratch.hpp"

#include <gtest/gtest.h>

#include <cstring>
#include <random>
#include <vector>

#include "host/base/error.hpp"

namespace vlm::cpu {
namespace {

constexpr int64_t kMiB = int64_t{1} << 20;

struct Block {
    void* at = nullptr;
    int64_t granted = 0;
};

Block allocate(Scratch& scratch, int64_t bytes) {
    Block block;
    block.at = scratch.allocate(bytes, &block.granted);
    return block;
}

TEST(Scratch, BlocksAreAlignedAndWritable) {
    Scratch scratch(0);
    for (const int64_t bytes : {int64_t{0}, int64_t{1}, int64_t{65}, kMiB - 1, 9 * kMiB + 3}) {
        const Block block = allocate(scratch, bytes);
        EXPECT_EQ(reinterpret_cast<uintptr_t>(block.at) % 64, 0u);
        EXPECT_GE(block.granted, bytes + 64);
        std::memset(block.at, 1, static_cast<size_t>(block.granted));
        scratch.free(block.at, block.granted);
    }
    EXPECT_EQ(scratch.in_use(), 0);
}

TEST(Scratch, OneLargeSegmentServesTheSizesOfALayer) {
    Scratch scratch(0);
    const auto layer = [&] {
        const Block hidden = allocate(scratch, 20 * kMiB);
        for (const int64_t size : {kMiB, 30 * kMiB, 7 * kMiB, 60 * kMiB, 45 * kMiB}) {
            const Block block = allocate(scratch, size);
            scratch.free(block.at, block.granted);
        }
        scratch.free(hidden.at, hidden.granted);
    };
    layer();
    layer();
    const int64_t held = scratch.held();
    EXPECT_LE(held, 120 * kMiB);
    for (int i = 0; i < 5; ++i) layer();
    EXPECT_EQ(scratch.held(), held);
}

TEST(Scratch, FreedNeighboursAreJoined) {
    Scratch scratch(0);
    const Block whole = allocate(scratch, 12 * kMiB);
    scratch.free(whole.at, whole.granted);
    std::vector<Block> parts;
    for (int i = 0; i < 3; ++i) parts.push_back(allocate(scratch, 4 * kMiB - 65600));
    const int64_t held = scratch.held();
    for (const size_t i : {0u, 2u, 1u}) scratch.free(parts[i].at, parts[i].granted);
    const Block again = allocate(scratch, 12 * kMiB);
    EXPECT_EQ(scratch.held(), held);
    EXPECT_EQ(again.at, whole.at);
    scratch.free(again.at, again.granted);
}

TEST(Scratch, BlocksInUseNeverOverlap) {
    Scratch scratch(0);
    std::mt19937 random(5);
    struct Filled {
        Block block;
        unsigned char value;
    };
    std::vector<Filled> live;
    for (int step = 0; step < 4000; ++step) {
        if (live.size() < 40 && random() % 2 == 0) {
            const Block block =
                allocate(scratch, static_cast<int64_t>(random() % 7 == 0 ? random() % (3 * kMiB) : random() % 9000));
            const auto value = static_cast<unsigned char>(random());
            std::memset(block.at, value, static_cast<size_t>(block.granted));
            live.push_back({block, value});
        } else if (!live.empty()) {
            std::swap(live[random() % live.size()], live.back());
            const auto& [block, value] = live.back();
            const auto* bytes = static_cast<const unsigned char*>(block.at);
            for (int64_t i = 0; i < block.granted; i += 61) ASSERT_EQ(bytes[i], value) << "step " << step;
            scratch.free(block.at, block.granted);
            live.pop_back();
        }
    }
    for (const Filled& filled : live) scratch.free(filled.block.at, filled.block.granted);
    EXPECT_EQ(scratch.in_use(), 0);
}

TEST(Scratch, LimitCountsWhatIsInUse) {
    Scratch scratch(10 * kMiB);
    const Block small = allocate(scratch, 3 * kMiB);
    EXPECT_THROW(allocate(scratch, 8 * kMiB), Error);
    scratch.free(small.at, small.granted);
    const Block large = allocate(scratch, 8 * kMiB);
    EXPECT_LE(scratch.held(), 10 * kMiB);
    EXPECT_EQ(scratch.in_use(), large.granted);
    scratch.free(large.at, large.granted);
    EXPECT_EQ(scratch.peak(), large.granted);
    scratch.reset_peak();
    EXPECT_EQ(scratch.peak(), 0);
}

TEST(Scratch, SizesThatCannotBeAreRefused) {
    Scratch scratch(0);
    EXPECT_THROW(allocate(scratch, -1), Error);
    EXPECT_THROW(allocate(scratch, INT64_MAX), Error);
    EXPECT_THROW(checked_product(INT64_MAX, 2), Error);
    EXPECT_EQ(checked_product(3, 4, 5), 60);
}

}  // namespace
}  // namespace vlm::cpu
