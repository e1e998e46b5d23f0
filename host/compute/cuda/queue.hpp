/** @file queue.hpp
 *  Where work goes: a GPU and a stream of it.
 */
#pragma once
#include <cstdint>

namespace vlm::cuda {

class Runtime;

/** A stream of a GPU, for the time of one operation. */
struct Queue {
    Runtime& runtime;
    void* stream;
};

/** Blocks of a launch, and bytes of shared memory of each. */
struct Grid {
    int64_t blocks;
    int64_t shared_bytes = 0;
};

inline constexpr int64_t kMaxBlocks = 0x7FFFFFFF;
/** Shared memory that every GPU gives a block without being asked. */
inline constexpr int64_t kMaxSharedBytes = 48 * 1024;
/** What a block may have when it is asked for, on the smallest GPU that this library is compiled for (sm_86 of PTX). */
inline constexpr int64_t kMaxAskedBytes = 99 * 1024;

inline int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

}  // namespace vlm::cuda
