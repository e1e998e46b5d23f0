/** @file quantised_ops_test.cpp
 *  Layers stored as f16, int8 and int4: the CUDA device with exact activations beside the CPU device with exact
 * activations, which has the same codes. Which layer is stored how, and weights that cannot be quantised.
 */
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

struct Stored {
    Target target;
    const char* weights;
};

std::vector<Stored> stored_targets() {
    std::vector<Stored> all;
    for (const Target& target : targets())
        for (const char* weights : {"f16", "int8", "int4"}) all.push_back({target, weights});
    return all;
}

/** Both devices with weights of the same type. */
class QuantisedOps : public testing::TestWithParam<Stored> {
  protected:
    void SetUp() override {
        try {
            gpu_ = std::make_unique<Side>(open_target(GetParam().target, GetParam().weights));
        } catch (const Error& error) {
            if (GetParam().target.order == nullptr && error.code() == VLM_STATUS_UNAVAILABLE)
                GTEST_SKIP() << error.what();
            throw;
        }
        cpu_ = std::make_unique<Side>(open_device("cpu", {"f32", GetParam().weights}));
    }
    static Tensor multiply(Side& s, const std::vector<Tensor>& weights, const Tensor& x, int64_t outputs,
                           const vlm_epilogue* epilogue = nullptr, uint32_t flags = 0) {
        const auto layer = pack_layer(s.table(), weights, {}, flags);
        const Tensor a = s.act(x), y = s.make({x.dim(0), outputs});
        s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), a.abi(), epilogue, y.abi());
        return s.get(y);
    }
    /** Largest difference relative to the largest element. */
    void expect_same(const Tensor& expected, const Tensor& found) const {
        const double tolerance = std::string(GetParam().target.dtype) == "bf16" ? 2e-2 : 2e-5;
        double scale = 1e-9, worst = 0;
        for (int64_t i = 0; i < expected.elements(); ++i) {
            const double e = static_cast<double>(expected.data<float>()[i]);
            scale = std::max(scale, std::abs(e));
            worst = std::max(worst, std::abs(static_cast<double>(found.data<float>()[i]) - e));
        }
        EXPECT_LE(worst / scale, tolerance);
    }
    std::unique_ptr<Side> cpu_, gpu_;
};

std::string stored_name(const testing::TestParamInfo<Stored>& info) {
    return std::string(info.param.target.name) + "_" + info.param.weights;
}
INSTANTIATE_TEST_SUITE_P(Cuda, QuantisedOps, testing::ValuesIn(stored_targets()), stored_name);

/** Up to 8 rows one turn, up to 16 two, more are expanded for cuBLASLt; depths with and without a rest. */
TEST_P(QuantisedOps, RowsAndDepths) {
    for (const int64_t in : {64, 600, 13, 33})
        for (const int64_t rows : {1, 2, 4, 7, 11, 16, 20}) {
            SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(in));
            const Tensor w = floats({37, in}, 1, 0.2f), x = floats({rows, in}, 3);
            expect_same(multiply(*cpu_, {w}, x, 37), multiply(*gpu_, {w}, x, 37));
        }
}

TEST_P(QuantisedOps, PartsGatesAndTransposedWeights) {
    vlm_epilogue gate{};
    gate.struct_size = sizeof(gate);
    gate.abi_version = VLM_ABI_VERSION;
    gate.activation = VLM_ACT_SILU;
    gate.gated = 1;
    const std::vector<Tensor> parts = {floats({21, 96}, 4, 0.1f), floats({21, 96}, 5, 0.1f)};
    const Tensor turned = floats({40, 26}, 6, 0.1f);
    for (const int64_t rows : {1, 5, 12, 24}) {
        SCOPED_TRACE(rows);
        const Tensor x = floats({rows, 96}, 7), z = floats({rows, 40}, 8);
        expect_same(multiply(*cpu_, parts, x, 21, &gate), multiply(*gpu_, parts, x, 21, &gate));
        expect_same(multiply(*cpu_, {turned}, z, 26, nullptr, VLM_LINEAR_TRANSPOSED),
                    multiply(*gpu_, {turned}, z, 26, nullptr, VLM_LINEAR_TRANSPOSED));
    }
}

/** Rows of the identity read the stored weights back: the codes are those of the CPU, to the bit. */
TEST_P(QuantisedOps, StoredWeightsAreThoseOfTheCpu) {
    if (std::string(GetParam().target.dtype) != "f32") GTEST_SKIP() << "bf16 rounds the weights that come back";
    constexpr int64_t kIn = 70;
    Tensor w = floats({50, kIn}, 9, 0.3f), unit(VLM_DTYPE_F32, {kIn, kIn});
    std::mt19937 generator(10);
    for (int64_t i = 0; i < w.elements(); ++i)  // outliers, tiny groups, groups of zeros
        w.data<float>()[i] *= i / kIn % 5 == 0 ? 1e-6f : i % 97 == 0 ? 40.0f : i / 32 % 7 == 0 ? 0.0f : 1.0f;
    for (int64_t i = 0; i < kIn; ++i) unit.data<float>()[i * kIn + i] = 1.0f;
    const Tensor expected = multiply(*cpu_, {w}, unit, 50), found = multiply(*gpu_, {w}, unit, 50);
    for (int64_t i = 0; i < expected.elements(); ++i) ASSERT_EQ(expected.data<float>()[i], found.data<float>()[i]) << i;
}

TEST_P(QuantisedOps, WeightsThatAreNoNumbersAreRefused) {
    Tensor w = floats({8, 64}, 11);
    w.data<float>()[77] = std::numeric_limits<float>::quiet_NaN();
    if (std::string(GetParam().weights) == "f16") {
        EXPECT_NO_THROW(pack_layer(gpu_->table(), {w}));
        return;
    }
    EXPECT_THROW(pack_layer(gpu_->table(), {w}), Error);
    EXPECT_NO_THROW(pack_layer(gpu_->table(), {floats({8, 64}, 12)}));  // what was found is forgotten
}

#ifdef VLM_EMULATED_CUDA
TEST(QuantisedPolicy, FourBitsAreForTheBackboneAndRulesDecideFirst) {
    constexpr int64_t kFour = 64 * 32 + 64 * 4 + 64, kEight = 64 * 64 + 64 * 2 + 64, kHalf = 64 * 64 * 2;
    setenv("VLM_EMULATED_ORDER", "serial", 1);
    DeviceOptions options{"f32", "int4"};
    options.weight_rules = {{"backbone/layers.0.*", "int8"}, {"*odd*", "f16"}};
    const auto device = open_cuda_device(0, options, {VLM_EMULATED_CUDA});
    EXPECT_EQ(bytes_of(*device, "backbone", "layers.1.mlp", 0), kFour);
    EXPECT_EQ(bytes_of(*device, "backbone", "head", VLM_LINEAR_KEEP_PRECISION), kEight);
    EXPECT_EQ(bytes_of(*device, "backbone", "layers.0.mlp", 0), kEight);
    EXPECT_EQ(bytes_of(*device, "vision_encoder", "layers.1.mlp", 0), kEight);
    EXPECT_EQ(bytes_of(*device, "connector", "odd one", 0), kHalf);
    EXPECT_EQ(bytes_of(*device, "", "layers.1.mlp", 0), kFour);
    EXPECT_NE(device->description().find("f32 with int4 weights"), std::string::npos);
}
#endif

}  // namespace
}  // namespace vlm::test
