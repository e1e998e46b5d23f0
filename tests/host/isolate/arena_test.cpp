/** @file arena_test.cpp
 *  Memory that two processes share: zeroed, found again, given back, and of a size that nobody can change.
 */
#include "host/isolate/arena.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "host/base/error.hpp"

namespace vlm::isolate {
namespace {

bool all_zero(const void* memory, size_t bytes) {
    const auto* b = static_cast<const char*>(memory);
    return std::all_of(b, b + bytes, [](char c) { return c == 0; });
}

TEST(SharedArena, MemoryIsAlignedZeroedAndReused) {
    const auto arena = SharedArena::create();
    for (const int64_t bytes : {0, 1, 64, 65, 4097, 3 << 20, 200 << 20}) {
        void* first = nullptr;
        {
            const auto memory = arena->allocate(bytes);
            first = memory.get();
            EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
            EXPECT_TRUE(all_zero(first, static_cast<size_t>(bytes))) << bytes;
            std::memset(first, 0xAB, static_cast<size_t>(bytes));
            EXPECT_GE(arena->in_use(), static_cast<uint64_t>(bytes));
        }
        const auto again = arena->allocate(bytes);
        EXPECT_EQ(again.get(), first) << "freed memory is used again";
        EXPECT_TRUE(all_zero(again.get(), static_cast<size_t>(bytes))) << bytes;
    }
    EXPECT_EQ(arena->in_use(), 0u);
}

TEST(SharedArena, GivingBackLeavesNeighboursAlone) {
    const auto arena = SharedArena::create();
    constexpr int64_t kOdd = (100 << 20) + 100;
    std::vector<std::shared_ptr<void>> pieces;
    for (int i = 0; i < 3; ++i) {
        pieces.push_back(arena->allocate(kOdd));
        std::memset(pieces.back().get(), i + 1, kOdd);
    }
    pieces[1].reset();
    for (const size_t i : {size_t{0}, size_t{2}}) {
        const auto* bytes = static_cast<const char*>(pieces[i].get());
        EXPECT_EQ(bytes[0], static_cast<char>(i + 1));
        EXPECT_EQ(bytes[kOdd - 1], static_cast<char>(i + 1));
    }
    EXPECT_TRUE(all_zero(arena->allocate(kOdd).get(), kOdd));
}

TEST(SharedArena, WhatIsWrittenBesideATensorIsFoundOutOnce) {
    const auto arena = SharedArena::create();
    const auto before = arena->allocate(64);
    for (const int64_t bytes : {0, 1, 100, 5000, 2 << 20}) {
        const auto memory = arena->allocate(bytes);
        auto* data = static_cast<char*>(memory.get());
        const uint64_t place = *arena->place_of(data, static_cast<uint64_t>(bytes));
        std::memset(data, 1, static_cast<size_t>(bytes));
        EXPECT_TRUE(arena->mend_guards(place)) << bytes;
        for (const int64_t outside : {int64_t{-1}, int64_t{-64}, bytes, bytes + 63}) {
            data[outside] = 1;
            EXPECT_FALSE(arena->mend_guards(bytes > 1 ? place + 1 : place)) << outside << " beside " << bytes;
            EXPECT_TRUE(arena->mend_guards(place)) << "mended";
        }
    }
    EXPECT_TRUE(arena->mend_guards(*arena->place_of(before.get(), 64)));
}

TEST(SharedArena, PlacesAreKnownForItsOwnMemoryOnly) {
    const auto arena = SharedArena::create();
    const auto memory = arena->allocate(1000);
    const auto* bytes = static_cast<const std::byte*>(memory.get());
    const auto place = arena->place_of(bytes, 1000);
    ASSERT_TRUE(place);
    EXPECT_EQ(*arena->place_of(bytes + 10, 5), *place + 10);
    EXPECT_FALSE(arena->place_of(bytes, arena->mapping().size() + 1));
    int elsewhere = 0;
    EXPECT_FALSE(arena->place_of(&elsewhere, sizeof(elsewhere)));
    EXPECT_FALSE(arena->place_of(nullptr, 0));
}

TEST(SharedArena, WhatDoesNotFitIsRefused) {
    const auto arena = SharedArena::create();
    EXPECT_THROW(arena->allocate(-1), Error);
    EXPECT_THROW(arena->allocate(INT64_MAX), Error);
}

TEST(SharedArena, TensorsOutliveThePipelinesHold) {
    std::shared_ptr<void> memory;
    {
        const auto arena = SharedArena::create();
        memory = arena->allocate(64);
    }
    std::memset(memory.get(), 1, 64);
}

TEST(SharedMapping, SizeIsSealed) {
    const auto mapping = SharedMapping::create("test", 8192);
    EXPECT_NE(ftruncate(mapping.descriptor(), 4096), 0);
    EXPECT_NE(ftruncate(mapping.descriptor(), 16384), 0);
    const auto other = SharedMapping::open(Descriptor(dup(mapping.descriptor())), 8192);
    mapping.data()[5] = std::byte{9};
    EXPECT_EQ(other.data()[5], std::byte{9});
    EXPECT_THROW(SharedMapping::open(Descriptor(dup(mapping.descriptor())), 8193), Error);
}

}  // namespace
}  // namespace vlm::isolate
