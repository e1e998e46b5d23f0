/** @file amx_test.cpp
 *  The AMX kernels over the emulated tiles, on any machine: blocking, packing and edges of both products, whole layers
 * with their epilogues, attention. On a processor with AMX the instructions take the same tests.
 */
#include "host/compute/cpu/amx.hpp"

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

TEST(Amx, InstructionsPassTheSelfCheck) {
    if (active_isa() < Isa::amx) GTEST_SKIP() << "this processor has no AMX: the instructions were only trapped";
    EXPECT_TRUE(amx_self_check(*hardware_amx_kernels()));
    EXPECT_EQ(amx_kernels(), hardware_amx_kernels());
}

TEST(Amx, EncodedInstructionsDoWhatTheEmulationDoes) {
#if defined(__x86_64__)
    if (detected_isa() >= Isa::amx) GTEST_SKIP() << "this processor executes the instructions itself";
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
    wrong.gemm_bf16 = [](const TileProductBf16& t) {
        emulated_amx_kernels().gemm_bf16(t);
        t.c[36 * t.ldc + 31] += 1;  // the last element only
    };
    EXPECT_FALSE(amx_self_check(wrong));
    wrong = emulated_amx_kernels();
    wrong.gemm_int8 = [](const TileProductInt8& t) {
        TileProductInt8 forgetful = t;
        forgetful.accumulate = false;
        emulated_amx_kernels().gemm_int8(forgetful);
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
    const TileProductBf16 product{a.data(), 512, panel.data(), 32, c.data(), 32, 16, false, nullptr};
    EXPECT_THROW(kernels.gemm_bf16(product), std::logic_error);
    {
        const AmxScope scope(&kernels);
        EXPECT_NO_THROW(kernels.gemm_bf16(product));
        EXPECT_THROW(kernels.begin(), std::logic_error);
    }
    EXPECT_THROW(kernels.gemm_bf16(product), std::logic_error);
}

/** A product against a loop in double; each of `depth` additions may be off by the relative `rounding`. */
template <class A, class Sum, class Number>
void check_product(const AmxKernels& kernels, void (*gemm)(const TileProduct<A, Sum>&), int64_t depth_step,
                   int64_t rows, int64_t depth, Number number, double rounding) {
    const int64_t padded = (rows + 15) / 16 * 16, lanes = sizeof(A) == 2 ? 2 : 4;
    std::mt19937 random(static_cast<uint32_t>(rows * 1000 + depth));
    std::vector<double> x(static_cast<size_t>(padded * depth)), w(static_cast<size_t>(32 * depth));
    std::vector<A> a(x.size()), panel(w.size());
    for (int64_t r = 0; r < padded; ++r)
        for (int64_t k = 0; k < depth; ++k) {
            const int64_t at =
                r / 16 * 16 * depth + k / depth_step * 16 * depth_step + r % 16 * depth_step + k % depth_step;
            a[static_cast<size_t>(at)] = number(random, x[static_cast<size_t>(r * depth + k)]);
        }
    for (int64_t k = 0; k < depth; ++k)
        for (int64_t n = 0; n < 32; ++n)
            panel[static_cast<size_t>(k / lanes * 32 * lanes + n * lanes + k % lanes)] =
                number(random, w[static_cast<size_t>(n * depth + k)]);
    std::vector<Sum> c(static_cast<size_t>(padded * 40), Sum{7});
    const AmxScope scope(&kernels);
    gemm({a.data(), 16 * depth, panel.data(), depth, c.data(), 40, rows, true, panel.data()});
    for (int64_t r = 0; r < rows; ++r)
        for (int64_t n = 0; n < 40; ++n) {
            double sum = 7, magnitude = 7;
            for (int64_t k = 0; n < 32 && k < depth; ++k) {
                const double product = x[static_cast<size_t>(r * depth + k)] * w[static_cast<size_t>(n * depth + k)];
                sum += product;
                magnitude += std::abs(product);
            }
            ASSERT_NEAR(static_cast<double>(c[static_cast<size_t>(r * 40 + n)]), sum,
                        static_cast<double>(depth) * rounding * magnitude)
                << kernels.name << " row " << r << " column " << n;
        }
}

TEST(Amx, ProductsOfEveryHeight) {
    const auto bf16 = [](std::mt19937& random, double& value) {
        const uint16_t bits = float_to_bf16(static_cast<float>(random() % 2001) * 1e-3f - 1.0f);
        value = bf16_to_float(bits);
        return bits;
    };
    const auto int8 = [](std::mt19937& random, double& value) {
        const auto number = static_cast<int8_t>(static_cast<int>(random() % 256) - 128);
        value = number;
        return number;
    };
    for (const AmxKernels* kernels : policies())
        for (const int64_t rows : {1, 15, 16, 17, 32, 33, 49, 70}) {
            check_product(*kernels, kernels->gemm_bf16, kTileDepthBf16, rows, rows % 2 == 0 ? 32 : 160, bf16,
                          kRoundoff);
            check_product(*kernels, kernels->gemm_int8, kTileDepthInt8, rows, rows % 2 == 0 ? 64 : 192, int8, 0.0);
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

/** What remains beside rounding to bf16 is that the other kernels round activations to 8 bits. */
TEST(Amx, QuantisedLayersAreExpanded) {
    const int64_t shapes[][3] = {{32, 40, 30}, {49, 600, 130}, {530, 70, 64}, {64, 1100, 36}};
    for (const WeightType weights : {WeightType::int8, WeightType::int4})
        for (const AmxKernels* kernels : policies())
            for (const auto& s : shapes)
                for (const bool gated : {false, true}) {
                    const std::vector<float> other = [&] {
                        const ScopedIsaCap cap(std::min(active_isa(), Isa::avx512_bf16));
                        return run_layer(s[0], s[1], s[2], gated, nullptr, weights);
                    }();
                    const ScopedAmxKernels with(kernels);
                    ASSERT_EQ(amx_for(DenseEngine::automatic, Precision::bf16, weights, s[0]), kernels);
                    std::vector<float> first;
                    for (const int threads : {1, 3}) {
                        ThreadPool pool(threads);
                        const std::vector<float> y = run_layer(s[0], s[1], s[2], gated, &pool, weights);
                        EXPECT_LT(relative_error(y, other), 2e-2) << s[0] << " x " << s[1] << " -> " << s[2];
                        if (first.empty()) first = y;
                        EXPECT_EQ(y, first);
                    }
                }
}

TEST(Amx, IsTakenForManyRowsInBf16Only) {
    const ScopedAmxKernels with(&emulated_amx_kernels());
    EXPECT_NE(amx_for(DenseEngine::own, Precision::bf16, WeightType::bf16, 32), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::bf16, WeightType::bf16, 31), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::onednn, Precision::bf16, WeightType::bf16, 64), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::f32, WeightType::bf16, 64), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::bf16, WeightType::f32, 64), nullptr);
    EXPECT_EQ(amx_for(DenseEngine::own, Precision::f32, WeightType::int8, 64), nullptr);
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
