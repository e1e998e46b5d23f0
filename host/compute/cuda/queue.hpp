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
/** Shared memory that every block has for its reductions. */
inline constexpr int64_t kReductionBytes = 32 * 4;
/** Shared memory that a launch gets on every GPU without asking. */
inline constexpr int64_t kMaxSharedBytes = 48 * 1024 - kReductionBytes;
/** What a launch may ask for on the smallest GPU that the machine code runs on (sm_86). */
inline constexpr int64_t kMaxAskedBytes = 99 * 1024 - kReductionBytes;

inline int64_t divide_up(int64_t a, int64_t b) {
    return (a + b - 1) / b;
}

}  // namespace vlm::cuda
