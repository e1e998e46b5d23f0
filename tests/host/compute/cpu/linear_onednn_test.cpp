/** @file linear_onednn_test.cpp
 *  oneDNN against the own kernels on the same bf16 inputs: they differ by the order of sums in f32 alone. And the rules
 * by which one of the two is taken, with and without oneDNN in the build.
 */
#include "host/compute/cpu/linear_onednn.hpp"

#include <cstdlib>

#include "host/base/error.hpp"
#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

/** Sets VLM_DENSE while it lives. */
class ScopedDense {
  public:
    explicit ScopedDense(const char* value) {
        const char* before = std::getenv("VLM_DENSE");
        had_ = before != nullptr;
        if (had_) before_ = before;
        if (value != nullptr) {
            setenv("VLM_DENSE", value, 1);
        } else {
            unsetenv("VLM_DENSE");
        }
    }
    ~ScopedDense() {
        if (had_) {
            setenv("VLM_DENSE", before_.c_str(), 1);
        } else {
            unsetenv("VLM_DENSE");
        }
    }
    ScopedDense(const ScopedDense&) = delete;
    ScopedDense& operator=(const ScopedDense&) = delete;

  private:
    bool had_ = false;
    std::string before_;
};

CpuOptions bf16_options(DenseEngine engine, ThreadPool* pool = nullptr) {
    CpuOptions options;
    options.mode = Precision::bf16;
    options.weights = WeightType::bf16;
    options.dense = engine;
    options.pool = pool;
    return options;
}

bool onednn_can_run() {
    return cpu::onednn_version() != nullptr && active_isa() >= Isa::avx512_bf16;
}

/** y of a layer with bias, with everything an epilogue has when `gated` or `full`. */
std::vector<float> run_layer(const CpuOptions& options, int64_t rows, int64_t in, int64_t out, bool gated, bool full) {
    Device device(options);
    Floats x = random_floats({rows, in}, 1), w = random_floats({out, in}, 2), b = random_floats({out}, 3);
    const int64_t outputs = gated ? out / 2 : out;
    Floats y({rows, outputs}), residual = random_floats({rows, outputs}, 4), scale = random_floats({outputs}, 5);
    vlm_epilogue e{};
    e.struct_size = sizeof(e);
    e.abi_version = VLM_ABI_VERSION;
    e.gated = gated ? 1 : 0;
    e.activation = full ? VLM_ACT_GELU : VLM_ACT_NONE;
    if (full) {
        e.residual = residual.abi();
        e.scale = scale.abi();
    }
    const auto layer = device.pack({w.abi()}, {b.abi()});
    EXPECT_OK(device, device->linear(device.table(), device.run(), layer.get(), x.abi(), &e, y.abi()));
    EXPECT_EQ(device.compute().statistics().scratch_bytes, 0);
    return y.values;
}

TEST(Onednn, PromisesNoExactRowsWhereItTakesAll) {
    if (!onednn_can_run()) GTEST_SKIP() << "no oneDNN in this build, or a processor without bf16 products";
    EXPECT_EQ(CpuCompute(bf16_options(DenseEngine::onednn)).exact_rows().step, 0);
    EXPECT_GT(CpuCompute(bf16_options(DenseEngine::own)).exact_rows().step, 0);
}

TEST(Onednn, EqualsTheOwnKernels) {
    if (!onednn_can_run()) GTEST_SKIP() << "no oneDNN in this build, or a processor without bf16 products";
    const struct {
        int64_t rows, in, out;
    } shapes[] = {{1, 1, 1},      {1, 1024, 96},   {2, 37, 5},      {7, 300, 70},    {15, 64, 1000},
                  {16, 64, 32},   {17, 513, 34},   {33, 31, 66},    {64, 96, 258},   {255, 129, 510},
                  {256, 32, 512}, {257, 33, 514},  {272, 65, 1026}, {300, 1408, 30}, {513, 40, 130},
                  {577, 320, 96}, {577, 1024, 64}, {640, 2048, 88}, {1000, 17, 3},   {260, 5632, 40}};
    for (const auto& [rows, in, out] : shapes)
        for (const bool gated : {false, true})
            for (const bool full : {false, true}) {
                if (gated && out % 2 != 0) continue;
                const auto own = run_layer(bf16_options(DenseEngine::own), rows, in, out, gated, full);
                const auto other = run_layer(bf16_options(DenseEngine::onednn), rows, in, out, gated, full);
                EXPECT_LT(relative_error(other, own), 1e-5) << rows << " " << in << " " << out << " " << gated << full;
            }
}

TEST(Onednn, SameBitsForEveryNumberOfThreads) {
    if (!onednn_can_run()) GTEST_SKIP() << "no oneDNN in this build, or a processor without bf16 products";
    std::vector<float> first;
    for (const int threads : {1, 2, 5}) {
        ThreadPool pool(threads);
        const auto y = run_layer(bf16_options(DenseEngine::onednn, &pool), 577, 700, 1030, false, true);
        if (first.empty()) first = y;
        EXPECT_EQ(y, first) << threads;
    }
}

TEST(Onednn, HasAFastKernelForEveryBlockOfWork) {
    if (!onednn_can_run()) GTEST_SKIP() << "no oneDNN in this build, or a processor without bf16 products";
    for (const int64_t rows : {16, 48, 176, 256})
        for (const int64_t outputs : {32, 96, 128, 256})
            for (const int64_t depth : {32, 608, 5632})
                EXPECT_TRUE(cpu::onednn_product(rows, outputs, depth)->fast())
                    << rows << " " << outputs << " " << depth;
}

TEST(Onednn, SharesThePanelsOfTheOwnKernels) {
    if (!onednn_can_run()) GTEST_SKIP() << "no oneDNN in this build, or a processor without bf16 products";
    Floats w = random_floats({96, 64}, 6);
    int64_t bytes[2] = {};
    for (const DenseEngine engine : {DenseEngine::own, DenseEngine::onednn}) {
        Device device(bf16_options(engine));
        const auto layer = device.pack({w.abi()}, {});
        bytes[engine == DenseEngine::own ? 0 : 1] = device.compute().statistics().packed_bytes;
    }
    EXPECT_EQ(bytes[0], bytes[1]);
}

TEST(Onednn, TakesPartOnlyWhereItIsTheBetterChoice) {
    const auto takes = [](DenseEngine engine, bool present, Isa isa, Precision mode, int64_t rows) {
        const WeightType type = mode == Precision::bf16 ? WeightType::bf16 : WeightType::f32;
        return cpu::onednn_multiplies(engine, present, isa, mode, type, rows);
    };
    using enum DenseEngine;
    EXPECT_TRUE(takes(automatic, true, Isa::amx, Precision::bf16, 577));
    EXPECT_FALSE(takes(automatic, true, Isa::amx, Precision::bf16, 1));
    EXPECT_FALSE(takes(automatic, true, Isa::avx512_bf16, Precision::bf16, 577));
    EXPECT_FALSE(takes(automatic, false, Isa::amx, Precision::bf16, 577));
    EXPECT_FALSE(takes(automatic, true, Isa::amx, Precision::f32, 577));
    EXPECT_FALSE(takes(own, true, Isa::amx, Precision::bf16, 577));
    EXPECT_TRUE(takes(onednn, true, Isa::avx512_bf16, Precision::bf16, 1));
    EXPECT_FALSE(takes(onednn, true, Isa::avx512, Precision::bf16, 577));
    EXPECT_FALSE(takes(onednn, true, Isa::amx, Precision::f32, 577));
    EXPECT_FALSE(cpu::onednn_multiplies(onednn, true, Isa::amx, Precision::bf16, WeightType::f32, 577));
}

TEST(Onednn, TheEnvironmentChoosesUnlessTheOptionDoes) {
    using enum DenseEngine;
    {
        const ScopedDense unset(nullptr);
        EXPECT_EQ(cpu::resolve_dense_engine(automatic, true), automatic);
    }
    {
        const ScopedDense set("own");
        EXPECT_EQ(cpu::resolve_dense_engine(automatic, true), own);
        EXPECT_EQ(cpu::resolve_dense_engine(onednn, true), onednn);
    }
    const ScopedDense set("onednn");
    EXPECT_EQ(cpu::resolve_dense_engine(automatic, true), onednn);
    EXPECT_EQ(cpu::resolve_dense_engine(own, false), own);
    const ScopedDense wrong("mkl");
    try {
        cpu::resolve_dense_engine(automatic, true);
        FAIL() << "an unknown engine was taken";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_NE(std::string(error.what()).find("\"mkl\""), std::string::npos) << error.what();
    }
}

TEST(Onednn, WithoutItTheOwnKernelsWorkAndAskingForItIsAnError) {
    const ScopedDense unset(nullptr);
    EXPECT_EQ(cpu::resolve_dense_engine(DenseEngine::automatic, false), DenseEngine::automatic);
    try {
        cpu::resolve_dense_engine(DenseEngine::onednn, false);
        FAIL() << "oneDNN was promised where there is none";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_UNAVAILABLE);
        EXPECT_NE(std::string(error.what()).find("onednn.sh"), std::string::npos) << error.what();
    }
    if (cpu::onednn_version() != nullptr) return;
    EXPECT_THROW(CpuCompute(bf16_options(DenseEngine::onednn)), Error);
    EXPECT_THROW(cpu::onednn_product(16, 32, 32), Error);
    EXPECT_EQ(run_layer(bf16_options(DenseEngine::automatic), 40, 64, 96, false, false),
              run_layer(bf16_options(DenseEngine::own), 40, 64, 96, false, false));
}

}  // namespace
}  // namespace vlm::test
