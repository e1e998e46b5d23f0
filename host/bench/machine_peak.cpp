/** @file machine_peak.cpp
 *  See machine_peak.hpp.
 */
#include "host/bench/machine_peak.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>

#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/bench/peak_kernels.hpp"

namespace vlm::bench {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point begin) {
    return std::chrono::duration<double>(Clock::now() - begin).count();
}

/** Shares of the work per thread, so that a thread that is held up does not hold up the others. */
constexpr int64_t kSharesPerThread = 8;
constexpr int kRepeats = 5;

double reading() {
    constexpr int64_t kBytes = int64_t{256} << 20;
    constexpr int64_t kShare = int64_t{4} << 20;
    constexpr size_t kAlignment = 64;
    const std::unique_ptr<std::byte, decltype(&std::free)> memory(
        static_cast<std::byte*>(std::aligned_alloc(kAlignment, kBytes)), std::free);
    if (!memory) throw resource_exhausted("no memory to measure the bandwidth with: 256 MB are needed");
    parallel_for(0, kBytes, kShare, [&](int64_t begin, int64_t end) {
        std::fill(memory.get() + begin, memory.get() + end, std::byte{1});
    });
    std::atomic<uint64_t> sum{0};
    double best = 0;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        const auto begin = Clock::now();
        parallel_for(0, kBytes, kShare, [&](int64_t from, int64_t to) {
            sum.fetch_add(read_memory(memory.get() + from, to - from), std::memory_order_relaxed);
        });
        best = std::max(best, static_cast<double>(kBytes) / seconds_since(begin));
    }
    return best;
}

}  // namespace

MachinePeak measure_arithmetic(PeakType type) {
    const PeakKernel kernel = peak_kernel(type);
    constexpr int64_t kProbe = 10'000;
    constexpr double kShareSeconds = 0.005;
    kernel.run(kProbe);
    const auto probe = Clock::now();
    kernel.run(kProbe);
    const auto rounds =
        std::max<int64_t>(kProbe, static_cast<int64_t>(kProbe * kShareSeconds / std::max(seconds_since(probe), 1e-7)));
    const int64_t shares = ThreadPool::global().threads() * kSharesPerThread;
    MachinePeak peak;
    peak.operations_kind = kernel.name;
    for (int repeat = 0; repeat < kRepeats; ++repeat) {
        const auto begin = Clock::now();
        parallel_for(0, shares, 1, [&](int64_t from, int64_t to) { kernel.run((to - from) * rounds); });
        const double operations = kernel.operations * static_cast<double>(rounds * shares);
        peak.operations_per_s = std::max(peak.operations_per_s, operations / seconds_since(begin));
    }
    return peak;
}

MachinePeak measure_machine(PeakType type) {
    MachinePeak peak = measure_arithmetic(type);
    peak.read_bytes_per_s = reading();
    return peak;
}

}  // namespace vlm::bench
