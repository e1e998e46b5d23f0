/** @file machine_peak.hpp
 *  What this machine can do at best, measured: the yardstick for every stage.
 *
 *  Data sheets do not know about shared machines, clocks under load and quotas. So the arithmetic units run alone for a
 *  moment (registers only, no memory), and all threads read memory that no cache holds.
 */
#pragma once
#include <string>

namespace vlm::bench {

/** In what the arithmetic peak is measured. */
enum class PeakType { f32, bf16, int8 };

/** Limits of the machine with the threads of ThreadPool::global() and the instructions of active_isa(). */
struct MachinePeak {
    double operations_per_s = 0;  ///< Multiplications and additions per second.
    std::string operations_kind;  ///< "bf16, AVX-512", "f32, AVX2", …
    double read_bytes_per_s = 0;  ///< Reading memory by all threads.
};

/** Arithmetic alone; the best of several short runs, since all that can happen to one is to be disturbed. Where the
 *  processor has no instructions for `type`, the peak is that of f32. */
MachinePeak measure_arithmetic(PeakType type);

/** Both limits. Takes about a second and 256 MB of memory for that time. */
MachinePeak measure_machine(PeakType type);

}  // namespace vlm::bench
