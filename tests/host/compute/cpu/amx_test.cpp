/** @file amx_test.cpp
 *  The AMX kernels over the emulated tiles, on any machine: blocking, packing and edges of both products, whole layers
 * with their epilogues, attention. On a processor with AMX the instructions take the same tests.
 */
#include "host/compute/cpu/amx.hpp"

#include <array>
#include <cmath>
#include <limits>
#include <stdexcept>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/linear_amx.hpp"
#include "tests/host/compute/cpu/amx_trap.hpp"
#include "tests/host/compute/cpu/attention_problem.hpp"

namespace vlm::test {
namespace {

using namespace vlm::cpu;

/** The emulation, and the instructions where there are some. */
std::vector<const AmxKernels*> policies() {
    std::vector<const AmxKernels*> all = {&emulated_amx_kernels()};
    if (active_isa() >= Isa::amx) all.push_back(hardware_amx_kernels());
    return all;
}

/** Why the encoded instructions cannot be trapped here; NULL: they can. */
const char* cannot_trap() {
    if (detected_isa() >= Isa::amx) return "this processor executes the instructions itself";
    return detected_isa() < Isa::avx512 ? "the kernels around the instructions need AVX-512" : nullptr;
}

TEST(Amx, InstructionsPassTheSelfCheck) {
    if (active_isa() < Isa::amx) GTEST_SKIP() << "this processor has no AMX: the instructions were only trapped";
    EXPECT_TRUE(amx_self_check(*hardware_amx_kernels()));
    EXPECT_EQ(amx_kernels(), hardware_amx_kernels());
}

TEST(Amx, EncodedInstructionsDoWhatTheEmulationDoes) {
#if defined(__x86_64__)
    if (const char* why = cannot_trap()) GTEST_SKIP() << why;
    const AmxTrap trap;
    const int64_t before = AmxTrap::executed();
    EXPECT_TRUE(amx_self_check(*hardware_amx_kernels()));
    EXPECT_GT(AmxTrap::executed(), before + 100);
#else
    GTEST_SKIP() << "no AMX on this architecture";
#endif
}

TEST(Amx, SelfCheckFindsWrongProducts) {
    EXPECT_TRUE(amx_self_check(emulated_amx_kernels()));
    AmxKernels wrong = emulated_amx_kernels();
    wrong.gemm_bf16 = [](const TileProduct& t) {
        emulated_amx_kernels().gemm_bf16(t);
        t.c[36 * t.ldc + 31] += 1;  // the last element only
    };
    EXPECT_FALSE(amx_self_check(wrong));
    wrong = emulated_amx_kernels();
    wrong.gemm_groups = [](const TileGroups& t) {
        TileGroups hasty = t;
        hasty.zeros = nullptr;
        emulated_amx_kernels().gemm_groups(hasty);
    };
    EXPECT_FALSE(amx_self_check(wrong));
    wrong.gemm_groups = [](const TileGroups& t) {
        emulated_amx_kernels().gemm_groups(t);
        if (t.group > 32) t.c[36 * t.ldc + 31] += 1;
    };
    EXPECT_FALSE(amx_self_check(wrong));
    wrong = emulated_amx_kernels();
    wrong.value_tile = [](const ValueTile&) {};
    EXPECT_FALSE(amx_self_check(wrong));
}

TEST(Amx, EmulationFaultsWhereTheProcessorWould) {
    const AmxKernels& kernels = emulated_amx_kernels();
    std::vector<uint16_t> a(16 * 32), panel(32 * 32);
    std::vector<float> c(16 * 32);
    const TileProduct product{a.data(), 512, panel.data(), 32, c.data(), 32, 16, false, nullptr};
    EXPECT_THROW(kernels.gemm_bf16(product), std::logic_error);
    {
        const AmxScope scope(&kernels);
        EXPECT_NO_THROW(kernels.gemm_bf16(product));
        EXPECT_THROW(kernels.begin(), std::logic_error);
    }
    EXPECT_THROW(kernels.gemm_bf16(product), std::logic_error);
}

/** A product against a loop in double; each of `depth` additions may be off by a rounding. */
void check_product(const AmxKernels& kernels, int64_t rows, int64_t depth) {
    const int64_t padded = (rows + 15) / 16 * 16;
    std::mt19937 random(static_cast<uint32_t>(rows * 1000 + depth));
    std::vector<double> x(static_cast<size_t>(padded * depth)), w(static_cast<size_t>(32 * depth));
    std::vector<uint16_t> a(x.size()), panel(w.size());
    const auto number = [&](double& value) {
        const uint16_t bits = float_to_bf16(static_cast<float>(random() % 2001) * 1e-3f - 1.0f);
        value = bf16_to_float(bits);
        return bits;
    };
    for (int64_t r = 0; r < padded; ++r)
        for (int64_t k = 0; k < depth; ++k) {
            const int64_t at = r / 16 * 16 * depth + k / 32 * 16 * 32 + r % 16 * 32 + k % 32;
            a[static_cast<size_t>(at)] = number(x[static_cast<size_t>(r * depth + k)]);
        }
    for (int64_t k = 0; k < depth; ++k)
        for (int64_t n = 0; n < 32; ++n)
            panel[static_cast<size_t>(k / 2 * 64 + n * 2 + k % 2)] = number(w[static_cast<size_t>(n * depth + k)]);
    std::vector<float> c(static_cast<size_t>(padded * 40), 7.0f);
    const AmxScope scope(&kernels);
    kernels.gemm_bf16({a.data(), 16 * depth, panel.data(), depth, c.data(), 40, rows, true, panel.data()});
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t n = 0; n < 40; ++n) {
            double sum = 7, magnitude = 7;
            for (int64_t k = 0; n < 32 && k < depth; ++k) {
                const double product = x[static_cast<size_t>(r * depth + k)] * w[static_cast<size_t>(n * depth + k)];
                sum += product;
                magnitude += std::abs(product);
            }
            ASSERT_NEAR(static_cast<double>(c[static_cast<size_t>(r * 40 + n)]), sum,
                        static_cast<double>(depth) * kRoundoff * magnitude)
                << kernels.name << " row " << r << " column " << n;
        }
}

/** Sums of groups against a loop that does in whole numbers and fused operations what the header says, and that rows
 * behind the last one are left alone. */
void check_groups(const AmxKernels& kernels, int64_t rows, int64_t depth, int64_t group, bool zeros) {
    const int64_t padded = (rows + 15) / 16 * 16, groups = (depth + group - 1) / group,
                  piece = std::min<int64_t>(group, 64);
    const int64_t row_tile = 16 * 64 * (depth / piece);
    std::mt19937 random(static_cast<uint32_t>(rows * 1000 + depth + group));
    const auto code = [&] { return static_cast<int8_t>(static_cast<int>(random() % 256) - 128); };
    const auto real = [&] { return static_cast<float>(random() % 2001) * 1e-3f - 1.0f; };
    std::vector<int8_t> a(static_cast<size_t>(padded / 16 * row_tile), int8_t{0}),
        codes(static_cast<size_t>(depth * 32 + kTileSpill));
    std::vector<float> scales(static_cast<size_t>(groups * 32)), minus(scales.size()),
        factors(static_cast<size_t>((padded / 32 + 1) * groups * 64)), c(static_cast<size_t>(padded * 40), 7.0f);
    const auto a_at = [&](int64_t r, int64_t k) -> int8_t& {
        return a[static_cast<size_t>(r / 16 * row_tile + k / piece * 1024 + r % 16 * 64 + k % piece)];
    };
    for (int64_t r = 0; r < padded; ++r)
        for (int64_t k = 0; k < depth; ++k) a_at(r, k) = code();
    for (int8_t& value : codes) value = code();
    for (auto* values : {&scales, &minus, &factors})
        for (float& value : *values) value = real();
    TileGroups product{};
    product.a = a.data();
    product.row_tile_stride = row_tile;
    product.row_factors = factors.data();
    product.row_factor_stride = groups * 64;
    product.codes = codes.data();
    product.scales = scales.data();
    product.zeros = zeros ? minus.data() : nullptr;
    product.depth = depth;
    product.group = group;
    product.c = c.data();
    product.ldc = 40;
    product.rows = rows;
    {
        const AmxScope scope(&kernels);
        kernels.gemm_groups(product);
    }
    for (int64_t r = 0; r < padded; ++r)
        for (int64_t n = 0; n < 40; ++n) {
            float sum = 7.0f;
            for (int64_t g = 0; g < groups && n < 32 && r < rows; ++g) {
                int32_t dot = 0;
                for (int64_t k = g * group; k < std::min(depth, (g + 1) * group); ++k)
                    dot += a_at(r, k) * codes[static_cast<size_t>(k / 4 * 128 + n * 4 + k % 4)];
                const auto of_row = static_cast<size_t>((r / 32 * groups + g) * 64 + r % 32);
                const auto of_column = static_cast<size_t>(g * 32 + n);
                auto exact = static_cast<float>(dot);
                if (zeros) exact = std::fma(minus[of_column], factors[of_row + 32], exact);
                const float scale = scales[of_column] * factors[of_row];
                sum = std::fma(exact, scale, sum);
            }
            ASSERT_EQ(c[static_cast<size_t>(r * 40 + n)], sum) << kernels.name << " rows " << rows << " depth " << depth
                                                               << " group " << group << " row " << r << " column " << n;
        }
}

TEST(Amx, ProductsOfEveryHeight) {
    for (const AmxKernels* kernels : policies())
        for (const int64_t rows : {1, 15, 16, 17, 32, 33, 49, 70}) {
            check_product(*kernels, rows, rows % 2 == 0 ? 32 : 160);
            for (const int64_t depth : {64, 128, 192, 320, 512})
                for (const int64_t group : {64, 128, 256, 512})
                    check_groups(*kernels, rows, depth, group, rows % 2 == 0);
            for (const int64_t depth : {32, 96, 256}) check_groups(*kernels, rows, depth, 32, rows % 2 != 0);
        }
}

CpuOptions bf16_options(ThreadPool* pool = nullptr, WeightType weights = WeightType::bf16) {
    CpuOptions options;
    options.mode = Precision::bf16;
    options.weights = weights;
    options.pool = pool;
    return options;
}

/** One layer with everything that an epilogue can have. */
std::vector<float> run_layer(int64_t rows, int64_t in, int64_t out, bool gated, ThreadPool* pool,
                             WeightType weights = WeightType::bf16) {
    Device device(bf16_options(pool, weights));
    Floats w = random_floats({out, in}, 40), b = random_floats({out}, 41), x = random_floats({rows, in + 3}, 42);
    const int64_t outputs = gated ? out / 2 : out;
    Floats residual = random_floats({rows, outputs}, 43), scale = random_floats({outputs}, 44), y({rows, outputs});
    const auto layer = device.pack({w.abi()}, {b.abi()});
    ViewOf<float> view(x, 0, {rows, in}, {in + 3, 1});
    vlm_epilogue epilogue{};
    epilogue.struct_size = sizeof(epilogue);
    epilogue.activation = gated ? VLM_ACT_SILU : VLM_ACT_GELU;
    epilogue.gated = gated ? 1 : 0;
    epilogue.residual = residual.abi();
    epilogue.scale = scale.abi();
    EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), view.abi(), &epilogue, y.abi()));
    return y.values;
}

TEST(Amx, LayersWithEpiloguesEqualTheOtherKernels) {
    const int64_t shapes[][3] = {{32, 40, 30}, {33, 64, 64}, {49, 600, 130}, {270, 33, 200}, {64, 1100, 36}};
    for (const AmxKernels* kernels : policies())
        for (const auto& s : shapes)
            for (const bool gated : {false, true}) {
                const std::vector<float> other = [&] {
                    const ScopedIsaCap cap(std::min(active_isa(), Isa::avx512_bf16));
                    return run_layer(s[0], s[1], s[2], gated, nullptr);
                }();
                const ScopedAmxKernels with(kernels);
                ASSERT_EQ(amx_for(DenseEngine::automatic, Precision::bf16, WeightType::bf16, s[0]), kernels);
                std::vector<float> first;
                for (const int threads : {1, 3}) {
                    ThreadPool pool(threads);
                    const std::vector<float> y = run_layer(s[0], s[1], s[2], gated, &pool);
                    EXPECT_LT(relative_error(y, other), 1e-2) << s[0] << " x " << s[1] << " -> " << s[2];
                    if (first.empty()) first = y;
                    EXPECT_EQ(y, first);
                }
            }
}

/** Quantised weights give the same bits with tiles as without: few rows in groups of 32, many in wide ones. */
TEST(Amx, QuantisedLayersAreTheSameToTheBit) {
    const int64_t shapes[][3] = {{17, 40, 30},    {33, 600, 130}, {127, 333, 36}, {128, 64, 66},
                                 {129, 1100, 36}, {577, 200, 70}, {130, 70, 33}};
    for (const WeightType weights : {WeightType::int8, WeightType::int4})
        for (const AmxKernels* kernels : policies())
            for (const auto& s : shapes)
                for (const bool gated : {false, true}) {
                    if (gated && s[2] % 2 != 0) continue;
                    const std::vector<float> other = [&] {
                        const ScopedIsaCap cap(std::min(active_isa(), Isa::avx512_bf16));
                        return run_layer(s[0], s[1], s[2], gated, nullptr, weights);
                    }();
                    const ScopedAmxKernels with(kernels);
                    ASSERT_EQ(amx_for(DenseEngine::automatic, Precision::bf16, weights, s[0]), kernels);
                    for (const int threads : {1, 3}) {
                        ThreadPool pool(threads);
                        ASSERT_EQ(run_layer(s[0], s[1], s[2], gated, &pool, weights), other)
                            << kernels->name << " " << s[0] << " x " << s[1] << " -> " << s[2];
                    }
                }
}

/** The encoded instructions and the vectors between them, in whole layers on several threads. */
TEST(Amx, EncodedInstructionsGiveWholeLayers) {
#if defined(__x86_64__)
    if (const char* why = cannot_trap()) GTEST_SKIP() << why;
    const AmxTrap trap;
    ThreadPool pool(2);
    for (const WeightType weights : {WeightType::bf16, WeightType::int8, WeightType::int4})
        for (const auto& s : {std::array<int64_t, 3>{33, 100, 40}, {129, 330, 34}}) {
            const auto run = [&](const AmxKernels& kernels) {
                const ScopedAmxKernels with(&kernels);
                return run_layer(s[0], s[1], s[2], true, &pool, weights);
            };
            EXPECT_EQ(run(*hardware_amx_kernels()), run(emulated_amx_kernels()))
                << weight_type_name(weights) << ", " << s[0] << " rows";
        }
#else
    GTEST_SKIP() << "no AMX on this architecture";
#endif
}

/** Quantised weights cannot be NaN, activations can: that row, and no other, is NaN. */
TEST(Amx, ActivationsThatAreNoNumbersReachTheirRowOnly) {
    const ScopedAmxKernels with(&emulated_amx_kernels());
    for (const int64_t rows : {40, 130}) {
        Device device(bf16_options(nullptr, WeightType::int8));
        Floats w = random_floats({40, 300}, 50), x = random_floats({rows, 300}, 51), y({rows, 40});
        x[17 * 300 + 299] = std::numeric_limits<float>::quiet_NaN();
        const auto layer = device.pack({w.abi()}, {});
        EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), nullptr, y.abi()));
        for (int64_t i = 0; i < y.size(); ++i) ASSERT_EQ(std::isnan(y[i]), i / 40 == 17) << i;
    }
}

TEST(Amx, IsTakenForManyRowsInTheModeBf16Only) {
    const ScopedAmxKernels with(&emulated_amx_kernels());
    EXPECT_NE(amx_for(DenseEngine::own, Precision::bf16, WeightType::bf16, 32), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::bf16, WeightType::bf16, 31), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::onednn, Precision::bf16, WeightType::bf16, 64), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::f32, WeightType::bf16, 64), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::bf16, WeightType::f32, 64), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::f32, WeightType::int8, 64), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::bf16, WeightType::int4, 16), nullptr);
    EXPECT_NE(amx_for(DenseEngine::own, Precision::bf16, WeightType::int4, 17), nullptr);
    EXPECT_NE(amx_for(DenseEngine::onednn, Precision::bf16, WeightType::int8, 64), nullptr);  // it has no such weights
    CpuCompute device(bf16_options());
    EXPECT_NE(device.description().find("AMX"), std::string::npos) << device.description();
}

TEST(Amx, AttentionOfManyRows) {
    if (active_isa() < Isa::avx512_bf16) GTEST_SKIP() << "attention multiplies in bf16 from AVX512_BF16 on only";
    const int64_t shapes[][6] = {{9, 70, 4, 2, 32, 32}, {70, 300, 6, 3, 40, 72}, {130, 130, 2, 2, 64, 64}};
    for (const AmxKernels* kernels : policies())
        for (const auto& s : shapes) {
            const ScopedAmxKernels with(kernels);
            Device device(bf16_options());
            Problem p(s[0], s[1], s[2], s[3], s[4], s[5], 45);
            p.causal();
            EXPECT_OK(device, device->attention(device.table(), device.run(), p.bind()));
            EXPECT_LT(relative_error(p.out.values, p.expected()), 1.5e-2) << kernels->name << ", " << s[0] << " rows";
        }
}

}  // namespace
}  // namespace vlm::test
