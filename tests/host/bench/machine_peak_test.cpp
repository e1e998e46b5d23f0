/** @file machine_peak_test.cpp
 *  The loops must run at every instruction set of this machine and count what they do.
 */
#include "host/bench/machine_peak.hpp"

#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "host/base/cpu_features.hpp"
#include "host/bench/peak_kernels.hpp"
#include "host/bench/series.hpp"
#include "tests/host/compute/cpu/amx_trap.hpp"

namespace vlm::bench {
namespace {

TEST(MachinePeak, EveryInstructionSetRuns) {
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx}) {
        if (isa > detected_isa()) break;
        const ScopedIsaCap cap(isa);
        for (const PeakType type : {PeakType::f32, PeakType::bf16, PeakType::int8}) {
            const PeakKernel kernel = peak_kernel(type);
            SCOPED_TRACE(kernel.name);
            kernel.run(100);
            EXPECT_GT(kernel.operations, 0);
        }
    }
}

/** On any other processor the tests execute the tile instructions and count them. */
TEST(MachinePeak, TilesCountWhatTheyMultiply) {
#if defined(__x86_64__)
    if (detected_isa() >= Isa::amx) GTEST_SKIP() << "this processor executes the instructions itself";
    const test::AmxTrap trap;
    const std::pair<PeakType, double> types[] = {{PeakType::bf16, 32}, {PeakType::int8, 64}};
    for (const auto& [type, depth] : types) {
        const PeakKernel kernel = peak_kernel(type, Isa::amx);
        SCOPED_TRACE(kernel.name);
        constexpr int64_t rounds = 20, products = 4 * rounds,
                          around = 1 + 4 + 4 + 1;  // configure, sums, operands, release
        const int64_t before = test::AmxTrap::executed();
        kernel.run(rounds);
        EXPECT_EQ(test::AmxTrap::executed() - before, products + around);
        EXPECT_EQ(kernel.operations * rounds, products * 16 * 16 * depth * 2);
    }
#else
    GTEST_SKIP() << "no AMX on this architecture";
#endif
}

TEST(MachinePeak, WiderInstructionsDoMore) {
    const ScopedIsaCap cap(Isa::avx2);
    if (detected_isa() < Isa::avx2) GTEST_SKIP() << "no AVX2 on this machine";
    const double avx2 = peak_kernel(PeakType::bf16).operations;
    set_max_isa(Isa::scalar);
    EXPECT_GT(avx2, peak_kernel(PeakType::bf16).operations);
}

TEST(MachinePeak, ReadsEveryByte) {
    alignas(64) static std::byte memory[2048];
    for (const Isa isa : {Isa::scalar, Isa::avx2}) {
        const ScopedIsaCap cap(isa);
        std::fill(std::begin(memory), std::end(memory), std::byte{0});
        EXPECT_EQ(read_memory(memory, sizeof(memory)), 0u);
        for (size_t at = 0; at < sizeof(memory); at += 8) {
            memory[at] = std::byte{1};
            EXPECT_EQ(read_memory(memory, sizeof(memory)), at / 8 + 1);
        }
    }
}

TEST(MachinePeak, IsPositive) {
    const MachinePeak peak = measure_machine(PeakType::bf16);
    EXPECT_GT(peak.operations_per_s, 0);
    EXPECT_GT(peak.read_bytes_per_s, 0);
    EXPECT_FALSE(peak.operations_kind.empty());
}

TEST(Series, QuantilesAreMeasuredValues) {
    Series series;
    EXPECT_EQ(series.median(), 0);
    for (const double value : {5.0, 1.0, 9.0}) series.add(value);
    EXPECT_EQ(series.min(), 1);
    EXPECT_EQ(series.median(), 5);
    EXPECT_EQ(series.max(), 9);
}

}  // namespace
}  // namespace vlm::bench
