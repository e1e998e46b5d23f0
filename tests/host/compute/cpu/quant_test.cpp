/** @file quant_test.cpp
 *  Quantised panels and their kernels against plain loops that follow the layout of quant.hpp, bit for bit and for
 * every instruction set of this machine; what rounding costs; and what no panel can be made of.
 */
#include "host/compute/cpu/quant.hpp"

#include <cstring>
#include <utility>

#include "host/compute/cpu/convert.hpp"
#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

using cpu::kPanel;
using cpu::kQuantGroup;
using cpu::QuantKernels;
using cpu::QuantLayout;

/** All tables that run here, also those that are never picked because there is a better one. */
std::vector<const QuantKernels*> all_kernels() {
    std::vector<const QuantKernels*> tables = {&cpu::detail::scalar_quant_kernels()};
#if defined(__x86_64__)
    if (active_isa() >= Isa::avx2) tables.push_back(&cpu::detail::avx2_quant_kernels());
    if (active_features().avx_vnni) tables.push_back(&cpu::detail::avx_vnni_quant_kernels());
    if (active_isa() >= Isa::avx512) tables.push_back(&cpu::detail::avx512_quant_kernels());
    if (active_features().avx512_vnni) tables.push_back(&cpu::detail::avx512_vnni_quant_kernels());
#endif
    return tables;
}

/** Weights `[padded depth][32]`, normal, zero behind `depth`. */
std::vector<float> panel_weights(int64_t depth, uint32_t seed, float spread = 0.02f) {
    Floats random = random_floats({depth, kPanel}, seed, spread);
    random.values.resize(static_cast<size_t>(QuantLayout::of(4, depth).depth() * kPanel), 0.0f);
    return random.values;
}

std::vector<std::byte> pack(const QuantKernels& kernels, const QuantLayout& layout, const std::vector<float>& weights) {
    std::vector<std::byte> panel(static_cast<size_t>(layout.bytes()));
    EXPECT_TRUE(kernels.quantise_panel(weights.data(), layout, panel.data()));
    return panel;
}

std::vector<float> unpack(const QuantKernels& kernels, const QuantLayout& layout, const std::vector<std::byte>& panel) {
    std::vector<float> weights(static_cast<size_t>(layout.depth() * kPanel));
    kernels.dequantise(panel.data(), layout, 0, layout.depth(), weights.data());
    return weights;
}

double squared_error(const std::vector<float>& a, const std::vector<float>& b) {
    double sum = 0;
    for (size_t i = 0; i < a.size(); ++i)
        sum += (static_cast<double>(a[i]) - b[i]) * (static_cast<double>(a[i]) - b[i]);
    return sum;
}

/** Code, scale and zero point of one weight, read as the layout is documented. */
struct Weight {
    int code;
    float scale, zero;
};
Weight weight_at(const std::vector<std::byte>& panel, const QuantLayout& layout, int64_t k, int64_t output) {
    const auto byte = [&](int64_t at) { return static_cast<int>(panel[static_cast<size_t>(at)]); };
    const bool four = layout.bits == 4;
    // Scales, zero points, codes: with 4 bits of every 64 depths, with 8 of all.
    const int64_t depths = four ? 64 : layout.depth(), heads = depths / 32 * kPanel;
    const int64_t block = 64 + k / depths * (2 * heads + 64 / 2 * kPanel), inside = k % depths;
    const int64_t group = inside / 32 * 32 + output;
    const int scale = byte(block + group);
    const float value = std::ldexp(1.0f + static_cast<float>(scale % 16) / 16, byte(output) - 127 + scale / 16);
    if (!four) return {byte(block + heads + inside / 4 * 128 + 4 * output + k % 4), value, 128};
    const int pair = byte(block + 2 * heads + inside / 8 * 128 + 4 * output + k % 4);
    return {k % 8 < 4 ? pair & 15 : pair >> 4, value, static_cast<float>(byte(block + heads + group)) / 16};
}

TEST(Quant, EveryInstructionSetFindsTheSameCodes) {
    for (const int64_t bits : {4, 8})
        for (const int64_t depth : {1, 32, 63, 200}) {
            const QuantLayout layout = QuantLayout::of(bits, depth);
            const auto weights = panel_weights(depth, static_cast<uint32_t>(depth));
            const auto expected = pack(cpu::detail::scalar_quant_kernels(), layout, weights);
            for (const QuantKernels* kernels : all_kernels()) {
                EXPECT_TRUE(pack(*kernels, layout, weights) == expected)
                    << kernels->name << " " << bits << " " << depth;
                EXPECT_EQ(unpack(*kernels, layout, expected),
                          unpack(cpu::detail::scalar_quant_kernels(), layout, expected));
            }
        }
}

TEST(Quant, DequantisedIsWhatTheLayoutSays) {
    for (const int64_t bits : {4, 8}) {
        const QuantLayout layout = QuantLayout::of(bits, 160);
        const auto panel = pack(cpu::quant_kernels(), layout, panel_weights(160, 3));
        const auto weights = unpack(cpu::quant_kernels(), layout, panel);
        std::vector<float> piece(static_cast<size_t>(45 * kPanel));
        cpu::quant_kernels().dequantise(panel.data(), layout, 37, 45, piece.data());
        for (int64_t k = 0; k < layout.depth(); ++k)
            for (int64_t o = 0; o < kPanel; ++o) {
                const Weight w = weight_at(panel, layout, k, o);
                const float value = w.scale * (static_cast<float>(w.code) - w.zero);
                ASSERT_EQ(weights[static_cast<size_t>(k * kPanel + o)], value);
                if (k >= 37 && k < 82) {
                    ASSERT_EQ(piece[static_cast<size_t>((k - 37) * kPanel + o)], value);
                }
            }
    }
}

TEST(Quant, UnpackedIsWhatIsStored) {
    for (const int64_t bits : {4, 8}) {
        const QuantLayout layout = QuantLayout::of(bits, 192);
        const auto panel = pack(cpu::quant_kernels(), layout, panel_weights(192, 4));
        for (const QuantKernels* kernels : all_kernels()) {
            constexpr int64_t begin = 32, depth = 96, groups = depth / cpu::kQuantGroup;
            std::vector<int8_t> codes(static_cast<size_t>(depth * kPanel));
            std::vector<float> scales(static_cast<size_t>(groups * kPanel)), zeros(scales.size(), -1.0f);
            kernels->unpack(panel.data(), layout, begin, depth, codes.data(), scales.data(), zeros.data());
            for (int64_t k = 0; k < depth; ++k)
                for (int64_t o = 0; o < kPanel; ++o) {
                    const Weight w = weight_at(panel, layout, begin + k, o);
                    const auto group = static_cast<size_t>(k / cpu::kQuantGroup * kPanel + o);
                    const int code = codes[static_cast<size_t>(k / 4 * 128 + 4 * o + k % 4)];
                    ASSERT_EQ(scales[group], w.scale) << kernels->name;
                    ASSERT_EQ(static_cast<float>(code) - 128 * zeros[group], static_cast<float>(w.code) - w.zero)
                        << kernels->name << " bits " << bits << " depth " << k << " output " << o;
                    ASSERT_EQ(zeros[group], bits == 4 ? w.zero / 128 : 0.0f);
                }
        }
    }
}

/** The kernels' sums, from the documented layout and with one fused multiply-add per group. */
std::vector<float> reference(const std::vector<std::byte>& panel, const QuantLayout& layout, const Floats& x,
                             int64_t rows, int64_t depth) {
    std::vector<float> c(static_cast<size_t>(rows * kPanel));
    for (int64_t r = 0; r < rows; ++r) {
        std::vector<int> codes(static_cast<size_t>(layout.depth()), 0);
        std::vector<float> scales(static_cast<size_t>(layout.groups), 0.0f);
        for (int64_t g = 0; g < layout.groups; ++g) {
            float largest = 0;
            for (int64_t k = g * 32; k < std::min(depth, g * 32 + 32); ++k)
                largest = std::max(largest, std::abs(x[r * depth + k]));
            scales[static_cast<size_t>(g)] = largest * (1.0f / 127.0f);
            for (int64_t k = g * 32; k < std::min(depth, g * 32 + 32) && largest > 0; ++k)
                codes[static_cast<size_t>(k)] = static_cast<int>(std::nearbyint(x[r * depth + k] * (127.0f / largest)));
        }
        for (int64_t o = 0; o < kPanel; ++o) {
            float sum = 0;
            for (int64_t g = 0; g < layout.groups; ++g) {
                double exact = 0;
                for (int64_t k = g * 32; k < g * 32 + 32; ++k) {
                    const Weight w = weight_at(panel, layout, k, o);
                    exact += codes[static_cast<size_t>(k)] * (w.code - static_cast<double>(w.zero));
                }
                const float scale = weight_at(panel, layout, g * 32, o).scale * scales[static_cast<size_t>(g)];
                sum = std::fma(static_cast<float>(exact), scale, sum);
            }
            c[static_cast<size_t>(r * kPanel + o)] = sum;
        }
    }
    return c;
}

TEST(Quant, ProductsAreTheReferenceToTheBit) {
    constexpr int64_t most = 33;
    for (const int64_t bits : {4, 8})
        for (const int64_t depth : {1, 31, 32, 33, 64, 100, 320}) {
            const QuantLayout layout = QuantLayout::of(bits, depth);
            const auto panel = pack(cpu::quant_kernels(), layout, panel_weights(depth, 5));
            Floats x = random_floats({most, depth}, static_cast<uint32_t>(depth));
            std::fill(x.values.begin() + depth, x.values.begin() + 2 * depth, 0.0f);  // a row of zeros
            const auto expected = reference(panel, layout, x, most, depth);
            const int64_t lda = cpu::quant_row_bytes(layout.depth());
            for (const QuantKernels* kernels : all_kernels()) {
                std::vector<std::byte> a(static_cast<size_t>(most * lda), std::byte{0x55});
                for (int64_t r = 0; r < most; ++r)
                    kernels->quantise_row(x.values.data() + r * depth, depth, layout.depth(), a.data() + r * lda);
                for (int64_t rows = 1; rows <= most; ++rows) {
                    constexpr int64_t ldc = kPanel + 3;
                    std::vector<float> c(static_cast<size_t>(rows * ldc), -1.0f);
                    (bits == 4 ? kernels->gemm_int4 : kernels->gemm_int8)(a.data(), lda, panel.data(), layout.depth(),
                                                                          c.data(), ldc, rows);
                    for (int64_t i = 0; i < rows * ldc; ++i) {
                        const int64_t row = i / ldc, o = i % ldc;
                        const float want = o < kPanel ? expected[static_cast<size_t>(row * kPanel + o)] : -1.0f;
                        ASSERT_EQ(c[static_cast<size_t>(i)], want)
                            << kernels->name << " bits " << bits << " depth " << depth << " rows " << rows << " row "
                            << row << " output " << o;
                    }
                }
            }
        }
}

/** One wide group of one output as quant_wide_inl.hpp says: the scale, and the codes. */
struct WideGroup {
    float scale;
    std::vector<int> codes;
};
WideGroup wide_group(const std::vector<std::byte>& panel, const QuantLayout& layout, int64_t begin, int64_t output) {
    const int64_t end = std::min(begin + cpu::kWideGroup, layout.depth());
    const bool four = layout.bits == 4;
    const auto reach = [&](const Weight& w) { return four ? std::max(w.zero * 16, 240 - w.zero * 16) : 1.0f; };
    float largest = 0;
    for (int64_t k = begin; k < end; ++k) {
        const Weight w = weight_at(panel, layout, k, output);
        largest = std::max(largest, w.scale * reach(w));
    }
    WideGroup group{four ? largest * (1.0f / (16 * 127)) : largest, {}};
    for (int64_t k = begin; k < end; ++k) {
        const Weight w = weight_at(panel, layout, k, output);
        const auto ratio = static_cast<int>(w.scale / largest * (four ? 127 * 16384.0f : 16384.0f) + 0.5f);
        const auto value = static_cast<int>((static_cast<float>(w.code) - w.zero) * (four ? 32 : 2));
        group.codes.push_back((value * ratio + 0x4000) >> 15);
    }
    return group;
}

TEST(Quant, RecodedWeightsAreTheSameToHalfAStep) {
    for (const int64_t bits : {4, 8}) {
        constexpr int64_t begin = cpu::kWideGroup, depth = begin + begin / 2;  // a wide group, then one and half a one
        const QuantLayout layout = QuantLayout::of(bits, begin + depth);
        auto weights = panel_weights(begin + depth, 13);
        for (int64_t k = 32; k < 64; ++k) weights[static_cast<size_t>(k * kPanel + 5)] *= 20;  // one loud group
        const auto panel = pack(cpu::quant_kernels(), layout, weights);
        const auto stored = unpack(cpu::quant_kernels(), layout, panel);
        for (const QuantKernels* kernels : all_kernels()) {
            if (kernels->recode == nullptr) continue;
            std::vector<uint8_t> codes(static_cast<size_t>(depth * kPanel));
            std::vector<float> scales(static_cast<size_t>(cpu::wide_groups(depth) * kPanel));
            for (const int64_t first : {int64_t{0}, begin}) {
                const int64_t count = first == 0 ? begin : depth;
                const std::vector<float> no_scales(scales.size());
                std::vector<uint8_t> signed_codes(codes.size());
                scales = no_scales;
                kernels->recode(panel.data(), layout, first, count, true, signed_codes.data(), scales.data());
                const std::vector<float> signed_scales = std::exchange(scales, no_scales);
                kernels->recode(panel.data(), layout, first, count, false, codes.data(), scales.data());
                ASSERT_EQ(scales, signed_scales);
                for (int64_t i = 0; i < count * kPanel; ++i)
                    ASSERT_EQ(signed_codes[static_cast<size_t>(i)], codes[static_cast<size_t>(i)] ^ 128);
                for (int64_t k = 0; k < count; ++k)
                    for (int64_t o = 0; o < kPanel; ++o) {
                        const WideGroup group =
                            wide_group(panel, layout, first + k / cpu::kWideGroup * cpu::kWideGroup, o);
                        const float scale = scales[static_cast<size_t>(k / cpu::kWideGroup * kPanel + o)];
                        const int code = codes[static_cast<size_t>(k / 4 * 128 + 4 * o + k % 4)] - 128;
                        ASSERT_EQ(scale, group.scale) << kernels->name;
                        ASSERT_EQ(code, group.codes[static_cast<size_t>(k % cpu::kWideGroup)])
                            << kernels->name << " bits " << bits << " depth " << first + k << " output " << o;
                        ASSERT_LE(std::abs(code), 127);
                        ASSERT_NEAR(scale * static_cast<float>(code),
                                    stored[static_cast<size_t>((first + k) * kPanel + o)], 0.52f * scale);
                    }
            }
        }
    }
}

TEST(Quant, ProductsInWideGroupsAreTheReferenceToTheBit) {
    constexpr int64_t most = 31, ldc = kPanel + 3;
    for (const int64_t bits : {4, 8})
        for (const int64_t depth : {1, 64, 100, 256, 320, 1400}) {
            const QuantLayout layout = QuantLayout::of(bits, depth);
            const auto panel = pack(cpu::quant_kernels(), layout, panel_weights(depth, 5));
            Floats x = random_floats({most, depth}, static_cast<uint32_t>(depth));
            std::fill(x.values.begin() + depth, x.values.begin() + 2 * depth, 0.0f);  // a row of zeros
            std::vector<float> expected(static_cast<size_t>(most * ldc), 2.0f);
            for (int64_t o = 0; o < kPanel; ++o)
                for (int64_t k = 0; k < layout.depth(); k += cpu::kWideGroup) {
                    const WideGroup group = wide_group(panel, layout, k, o);
                    const int64_t end = std::min(depth, k + cpu::kWideGroup);
                    for (int64_t r = 0; r < most; ++r) {
                        float largest = 0;
                        for (int64_t i = k; i < end; ++i) largest = std::max(largest, std::abs(x[r * depth + i]));
                        int64_t exact = 0;
                        for (int64_t i = k; i < end && largest > 0; ++i)
                            exact += group.codes[static_cast<size_t>(i - k)] *
                                     static_cast<int64_t>(std::nearbyint(x[r * depth + i] * (127.0f / largest)));
                        float& sum = expected[static_cast<size_t>(r * ldc + o)];
                        sum = std::fma(static_cast<float>(exact), group.scale * (largest * (1.0f / 127.0f)), sum);
                    }
                }
            const int64_t lda = cpu::wide_row_bytes(layout.depth());
            for (const QuantKernels* kernels : all_kernels()) {
                if (kernels->gemm_wide == nullptr) continue;
                std::vector<std::byte> a(static_cast<size_t>(most * lda), std::byte{0x55});
                for (int64_t r = 0; r < most; ++r)
                    kernels->quantise_wide_row(x.values.data() + r * depth, depth, layout.depth(), a.data() + r * lda);
                for (int64_t rows = 1; rows <= most; ++rows) {
                    std::vector<float> c(static_cast<size_t>(rows * ldc), 2.0f), scales(3 * kPanel);
                    std::vector<uint8_t> codes(static_cast<size_t>(3 * cpu::kWideGroup * kPanel));
                    for (int64_t k = 0; k < layout.depth(); k += 3 * cpu::kWideGroup) {
                        const int64_t count = std::min(3 * cpu::kWideGroup, layout.depth() - k);
                        kernels->recode(panel.data(), layout, k, count, false, codes.data(), scales.data());
                        kernels->gemm_wide({a.data(), lda, layout.depth(), k, count, codes.data(), scales.data(),
                                            c.data(), ldc, rows, rows % 2 == 0 ? panel.data() : nullptr,
                                            rows % 2 == 0 ? layout.bytes() : 0});
                    }
                    for (size_t i = 0; i < c.size(); ++i)
                        ASSERT_EQ(c[i], expected[i]) << kernels->name << " bits " << bits << " depth " << depth
                                                     << " rows " << rows << " at " << i;
                }
            }
        }
}

/** Largest codes against largest activations: what would overflow sums of 16 bits. */
TEST(Quant, ExtremeCodesDoNotOverflow) {
    for (const int64_t bits : {4, 8})
        for (const float sign : {1.0f, -1.0f}) {
            const int64_t depth = 64;
            const QuantLayout layout = QuantLayout::of(bits, depth);
            const std::vector<float> weights(static_cast<size_t>(depth * kPanel), sign);
            const auto panel = pack(cpu::quant_kernels(), layout, weights);
            Floats x({1, depth});
            for (int64_t i = 0; i < depth; ++i) x[i] = 3.0f;
            const auto expected = reference(panel, layout, x, 1, depth);
            for (const QuantKernels* kernels : all_kernels()) {
                std::vector<std::byte> a(static_cast<size_t>(cpu::quant_row_bytes(depth)));
                kernels->quantise_row(x.values.data(), depth, depth, a.data());
                std::vector<float> c(static_cast<size_t>(kPanel));
                (bits == 4 ? kernels->gemm_int4 : kernels->gemm_int8)(a.data(), cpu::quant_row_bytes(depth),
                                                                      panel.data(), depth, c.data(), kPanel, 1);
                EXPECT_EQ(c, expected) << kernels->name;
                EXPECT_NEAR(c[0], sign * 192, bits == 4 ? 4 : 1);
            }
        }
}

TEST(Quant, FourBitsFollowTheirGroupsBetterThanPlainRounding) {
    const int64_t depth = 2048;
    const auto weights = panel_weights(depth, 7);
    const QuantLayout layout = QuantLayout::of(4, depth);
    const auto mine = unpack(cpu::quant_kernels(), layout, pack(cpu::quant_kernels(), layout, weights));
    std::vector<float> plain(weights.size());  // largest magnitude becomes code -8, as Q4_0 of llama.cpp
    for (int64_t o = 0; o < kPanel; ++o)
        for (int64_t g = 0; g < depth / kQuantGroup; ++g) {
            float extreme = 0;
            const auto at = [&](int64_t i) { return static_cast<size_t>((g * kQuantGroup + i) * kPanel + o); };
            for (int64_t i = 0; i < kQuantGroup; ++i)
                if (std::abs(weights[at(i)]) > std::abs(extreme)) extreme = weights[at(i)];
            const float scale = extreme / -8;
            for (int64_t i = 0; i < kQuantGroup; ++i)
                plain[at(i)] = scale * std::clamp(std::nearbyint(weights[at(i)] / scale), -8.0f, 7.0f);
        }
    EXPECT_LT(squared_error(mine, weights), 0.75 * squared_error(plain, weights));
    const QuantLayout eight = QuantLayout::of(8, depth);
    const auto fine = unpack(cpu::quant_kernels(), eight, pack(cpu::quant_kernels(), eight, weights));
    EXPECT_LT(squared_error(fine, weights), 0.01 * squared_error(mine, weights));
    // Bits per weight, with everything beside the codes.
    EXPECT_LE(static_cast<double>(layout.bytes()) * 8 / static_cast<double>(depth * kPanel), 4.6);
    EXPECT_LE(static_cast<double>(eight.bytes()) * 8 / static_cast<double>(depth * kPanel), 8.3);
}

TEST(Quant, ZeroIsZeroAndFarApartGroupsKeepTheirOwnScales) {
    for (const int64_t bits : {4, 8}) {
        const int64_t depth = 128;
        std::vector<float> weights(static_cast<size_t>(depth * kPanel), 0.0f);
        const auto at = [&](int64_t k, int64_t o) -> float& { return weights[static_cast<size_t>(k * kPanel + o)]; };
        for (int64_t k = 32; k < 64; ++k) {
            at(k, 1) = static_cast<float>(k - 40) * 1e-3f;  // output 1: zero groups beside others
            at(k + 32, 1) = static_cast<float>(k - 40) * 1e+0f;
            at(k, 2) = static_cast<float>(k) * 1e-38f;  // output 2: nearly denormal
            at(k, 3) = static_cast<float>(k - 50) * 1e16f;
        }
        const QuantLayout layout = QuantLayout::of(bits, depth);
        const auto back = unpack(cpu::quant_kernels(), layout, pack(cpu::quant_kernels(), layout, weights));
        const float step = bits == 4 ? 1.0f / 15 : 1.0f / 100;
        for (int64_t k = 0; k < depth; ++k)
            for (int64_t o = 0; o < kPanel; ++o) {
                const float w = at(k, o), b = back[static_cast<size_t>(k * kPanel + o)];
                const bool zeros = o < 1 || o > 3 || k < 32 || k >= (o == 1 ? 96 : 64);
                if (zeros) {  // the whole group
                    EXPECT_EQ(b, 0.0f) << bits << " " << k << " " << o;
                    continue;
                }
                const float range = o == 1 ? (k < 64 ? 31e-3f : 31.0f) : o == 2 ? 63e-38f : 31e16f;
                EXPECT_NEAR(b, w, step * range) << bits << " " << k << " " << o;
            }
    }
}

TEST(Quant, RefusesWhatIsNoNumberOrTooLarge) {
    for (const float bad : {std::nanf(""), INFINITY, -INFINITY, 1e30f})
        for (const int64_t bits : {4, 8})
            for (const QuantKernels* kernels : all_kernels()) {
                auto weights = panel_weights(70, 9);
                weights[69 * kPanel + 31] = bad;
                const QuantLayout layout = QuantLayout::of(bits, 70);
                std::vector<std::byte> panel(static_cast<size_t>(layout.bytes()));
                EXPECT_FALSE(kernels->quantise_panel(weights.data(), layout, panel.data())) << kernels->name << bad;
            }
}

TEST(Quant, ActivationsThatAreNoNumbersReachEveryOutput) {
    const int64_t depth = 96;
    const QuantLayout layout = QuantLayout::of(4, depth);
    const auto panel = pack(cpu::quant_kernels(), layout, panel_weights(depth, 11));
    for (const float bad : {std::nanf(""), INFINITY})
        for (const QuantKernels* kernels : all_kernels()) {
            Floats x = random_floats({1, depth}, 12);
            x[40] = bad;
            std::vector<std::byte> a(static_cast<size_t>(cpu::quant_row_bytes(layout.depth())));
            kernels->quantise_row(x.values.data(), depth, layout.depth(), a.data());
            std::vector<float> c(static_cast<size_t>(kPanel));
            kernels->gemm_int4(a.data(), 0, panel.data(), layout.depth(), c.data(), kPanel, 1);
            for (const float v : c) EXPECT_TRUE(std::isnan(v)) << kernels->name;
            if (kernels->gemm_wide == nullptr) continue;
            std::vector<std::byte> wide(static_cast<size_t>(cpu::wide_row_bytes(layout.depth())));
            kernels->quantise_wide_row(x.values.data(), depth, layout.depth(), wide.data());
            std::vector<uint8_t> codes(static_cast<size_t>(layout.depth() * kPanel));
            std::vector<float> scales(static_cast<size_t>(kPanel)), sums(static_cast<size_t>(kPanel));
            kernels->recode(panel.data(), layout, 0, layout.depth(), false, codes.data(), scales.data());
            kernels->gemm_wide({wide.data(), 0, layout.depth(), 0, layout.depth(), codes.data(), scales.data(),
                                sums.data(), kPanel, 1, nullptr, 0});
            for (const float v : sums) EXPECT_TRUE(std::isnan(v)) << kernels->name;
        }
}

TEST(Quant, PicksTheKernelsOfTheInstructionSet) {
    {
        const ScopedIsaCap cap(Isa::scalar);
        EXPECT_STREQ(cpu::quant_kernels().name, "scalar");
    }
    const ScopedIsaCap cap(Isa::avx2);
    if (active_isa() == Isa::avx2) {
        EXPECT_STREQ(cpu::quant_kernels().name, active_features().avx_vnni ? "avx_vnni" : "avx2");
    }
}

}  // namespace
}  // namespace vlm::test
