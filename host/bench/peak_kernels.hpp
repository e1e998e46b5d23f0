/** @file peak_kernels.hpp
 *  Loops that keep the arithmetic units busy and touch no memory while they count.
 */
#pragma once
#include <cstddef>
#include <cstdint>

#include "host/base/cpu_features.hpp"
#include "host/bench/machine_peak.hpp"

namespace vlm::bench {

/** One loop. */
struct PeakKernel {
    const char* name;             ///< Number format and instruction set.
    double operations;            ///< Multiplications and additions of one round.
    void (*run)(int64_t rounds);  ///< Runs that many rounds on the calling thread.
};

/** The fastest loop for `type` at active_isa(). */
PeakKernel peak_kernel(PeakType type);
/** The same at `isa`, which this processor may not have: calling `run` is then the caller's affair. */
PeakKernel peak_kernel(PeakType type, Isa isa);

/** Sum of all bytes as words, read with the widest loads. `bytes` is a multiple of 1024. */
uint64_t read_memory(const std::byte* data, int64_t bytes);

}  // namespace vlm::bench
