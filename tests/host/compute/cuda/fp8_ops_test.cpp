/** @file fp8_ops_test.cpp
 *  Layers stored as fp8 on the CUDA device: the codes by themselves, then products beside what codes, scales and
 * rounded activations say they should be, and within the bound that rounding to three bits of mantissa leaves. GPUs
 * without fp8, and the CPU, refuse it.
 */
#include <gmock/gmock.h>

#include <array>
#include <limits>

#include "host/compute/cuda/element.hpp"
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using cuda::e4m3_from_float;
using cuda::e4m3_to_float;
using testing::HasSubstr;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNoNumber = std::numeric_limits<float>::quiet_NaN();

bool is_nan_code(int code) {
    return (code & 0x7F) == 0x7F;
}

TEST(E4m3, EveryCodeComesBack) {
    EXPECT_EQ(e4m3_to_float(0x01), std::ldexp(1.0f, -9));
    EXPECT_EQ(e4m3_to_float(0x08), std::ldexp(1.0f, -6));
    EXPECT_EQ(e4m3_to_float(0x38), 1.0f);
    EXPECT_EQ(e4m3_to_float(0xFE), -448.0f);
    for (int code = 0; code < 256; ++code) {
        const float value = e4m3_to_float(static_cast<uint8_t>(code));
        EXPECT_EQ(std::isnan(value), is_nan_code(code)) << code;
        EXPECT_EQ(e4m3_from_float(value) & 0x7F, code & 0x7F) << code;
        EXPECT_TRUE(is_nan_code(code) || e4m3_from_float(value) == code) << code;
    }
}

TEST(E4m3, RoundsToTheNearestAndTiesToEven) {
    for (int code = 0; code < 0x7E; ++code) {
        const float low = e4m3_to_float(static_cast<uint8_t>(code)),
                    high = e4m3_to_float(static_cast<uint8_t>(code + 1));
        ASSERT_LT(low, high);
        const float middle = 0.5f * (low + high);
        EXPECT_EQ(e4m3_from_float(middle), code % 2 == 0 ? code : code + 1) << middle;
        EXPECT_EQ(e4m3_from_float(std::nextafter(middle, 0.0f)), code) << middle;
        EXPECT_EQ(e4m3_from_float(std::nextafter(middle, kInfinity)), code + 1) << middle;
        EXPECT_EQ(e4m3_from_float(-middle), e4m3_from_float(middle) | 0x80) << middle;
    }
    EXPECT_EQ(e4m3_from_float(std::numeric_limits<float>::denorm_min()), 0);
}

TEST(E4m3, LargeNumbersSaturateAndWhatIsNoneGoesOn) {
    for (const float large : {448.0f, 449.0f, 464.0f, 480.0f, 1e30f, std::numeric_limits<float>::max()}) {
        EXPECT_EQ(e4m3_from_float(large), 0x7E);
        EXPECT_EQ(e4m3_from_float(-large), 0xFE);
    }
    for (const float none : {kInfinity, -kInfinity, kNoNumber}) EXPECT_TRUE(is_nan_code(e4m3_from_float(none)));
}

/** A row as it comes back from e4m3 with the scale that makes its largest number 448. */
std::vector<double> rounded(const float* row, int64_t n) {
    float largest = 0.0f;
    for (int64_t i = 0; i < n; ++i) largest = std::max(largest, std::fabs(row[i]));
    const float scale = std::max(largest / 448.0f, std::ldexp(1.0f, -100)), inverse = 1.0f / scale;
    std::vector<double> result;
    for (int64_t i = 0; i < n; ++i)
        result.push_back(static_cast<double>(e4m3_to_float(e4m3_from_float(row[i] * inverse))) *
                         static_cast<double>(scale));
    return result;
}

class Fp8Ops : public testing::TestWithParam<Target> {
  protected:
    void SetUp() override {
        try {
            gpu_ = std::make_unique<Side>(open_target(GetParam(), "fp8"));
        } catch (const Error& error) {
            if (GetParam().order == nullptr && error.code() == VLM_STATUS_UNAVAILABLE) GTEST_SKIP() << error.what();
            throw;
        }
    }
    bool half() const { return std::string(GetParam().dtype) == "bf16"; }
    /** Activations are rounded to fp8 from 9 rows on, unless they are f32. */
    bool rounds(int64_t rows) const { return half() && rows > 8; }

    std::shared_ptr<vlm_linear> pack(const std::vector<Tensor>& weights, const std::vector<Tensor>& biases = {},
                                     uint32_t flags = 0) {
        return pack_layer(gpu_->table(), weights, biases, flags);
    }
    Tensor multiply(const std::shared_ptr<vlm_linear>& layer, const Tensor& x, int64_t outputs,
                    const vlm_epilogue* epilogue = nullptr) {
        const Tensor a = gpu_->act(x), y = gpu_->make({x.dim(0), outputs});
        gpu_->call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer.get()), a.abi(), epilogue, y.abi());
        return gpu_->get(y);
    }
    /** Row `r` of x as the device has it. */
    std::vector<float> taken(const Tensor& x, int64_t r) {
        const Tensor device = gpu_->get(gpu_->act(x));
        const float* row = device.data<float>() + r * x.dim(1);
        return {row, row + x.dim(1)};
    }
    /** `x W^T` of what is stored and rounded, in f64. */
    std::vector<double> expected(const Tensor& w, const Tensor& x) {
        const int64_t in = w.dim(1);
        std::vector<std::vector<double>> weights;
        for (int64_t o = 0; o < w.dim(0); ++o) weights.push_back(rounded(w.data<float>() + o * in, in));
        std::vector<double> result;
        for (int64_t r = 0; r < x.dim(0); ++r) {
            const std::vector<float> exact = taken(x, r);
            const std::vector<double> row =
                rounds(x.dim(0)) ? rounded(exact.data(), in) : std::vector<double>(exact.begin(), exact.end());
            for (const auto& weight : weights) {
                double sum = 0;
                for (int64_t k = 0; k < in; ++k) sum += row[static_cast<size_t>(k)] * weight[static_cast<size_t>(k)];
                result.push_back(sum);
            }
        }
        return result;
    }
    void expect_close(const std::vector<double>& expected, const Tensor& found) const {
        ASSERT_EQ(static_cast<int64_t>(expected.size()), found.elements());
        double scale = 1e-30, worst = 0;
        for (int64_t i = 0; i < found.elements(); ++i) {
            const double e = expected[static_cast<size_t>(i)], f = static_cast<double>(found.data<float>()[i]);
            ASSERT_TRUE(std::isfinite(f)) << i;
            scale = std::max(scale, std::abs(e));
            worst = std::max(worst, std::abs(f - e));
        }
        EXPECT_LE(worst / scale, half() ? 1e-2 : 2e-5);
    }
    std::unique_ptr<Side> gpu_;
};
INSTANTIATE_TEST_SUITE_P(Cuda, Fp8Ops, testing::ValuesIn(targets()), target_name);

TEST_P(Fp8Ops, RowsAndDepths) {
    for (const int64_t in : {64, 600, 13, 33})
        for (const int64_t rows : {1, 2, 4, 8, 9, 16, 20, 33}) {
            SCOPED_TRACE(std::to_string(rows) + " rows of " + std::to_string(in));
            const Tensor w = floats({37, in}, 1, 0.2f), x = floats({rows, in}, 3);
            expect_close(expected(w, x), multiply(pack({w}), x, 37));
        }
}

/** A number keeps its first four bits: it is off by at most a sixteenth of itself, or half of the smallest step where
 * it is smaller than 2^-6 steps of the scale. */
TEST_P(Fp8Ops, StaysWithinTheBoundOfRounding) {
    constexpr int64_t kIn = 200, kOut = 24, kHardRows = 40;
    Tensor w = floats({kOut, kIn}, 4, 0.1f), x = floats({kHardRows, kIn}, 5);
    for (int64_t i = 0; i < w.elements(); ++i) w.data<float>()[i] *= i % 53 == 0 ? 30.0f : i % 7 == 0 ? 1e-3f : 1.0f;
    for (int64_t i = 0; i < x.elements(); ++i) x.data<float>()[i] *= i % 71 == 0 ? 50.0f : i % 5 == 0 ? 1e-4f : 1.0f;
    const Tensor y = multiply(pack({w}), x, kOut);
    for (int64_t r = 0; r < kHardRows; ++r)
        for (int64_t o = 0; o < kOut; ++o) {
            const float *wr = w.data<float>() + o * kIn, *xr = x.data<float>() + r * kIn;
            double sum = 0, both = 0, all_w = 0, all_x = 0, top_w = 0, top_x = 0;
            for (int64_t k = 0; k < kIn; ++k) {
                const double a = static_cast<double>(wr[k]), b = static_cast<double>(xr[k]);
                sum += a * b;
                both += std::abs(a * b);
                all_w += std::abs(a);
                all_x += std::abs(b);
                top_w = std::max(top_w, std::abs(a));
                top_x = std::max(top_x, std::abs(b));
            }
            const double part = 1.0 / 16, step = std::ldexp(1.0, -10) / 448;
            double bound = part * both + step * top_w * all_x;
            if (half())
                bound = (2 * part + part * part + 1.0 / 128) * both + 1.1 * step * (top_w * all_x + top_x * all_w);
            EXPECT_LE(std::abs(static_cast<double>(y.data<float>()[r * kOut + o]) - sum), bound + 1e-5)
                << r << " " << o;
        }
}

TEST_P(Fp8Ops, WhatStandsBehindTheProduct) {
    const Tensor w = floats({40, 96}, 6, 0.1f), bias = floats({40}, 7), scale = floats({40}, 8);
    for (const int64_t rows : {3, 21}) {
        SCOPED_TRACE(rows);
        const Tensor x = floats({rows, 96}, 9), residual = floats({rows, 40}, 10);
        const Tensor r = gpu_->act(residual), r_taken = gpu_->get(r), s = gpu_->put(scale);
        vlm_epilogue e{};
        e.struct_size = sizeof(e);
        e.abi_version = VLM_ABI_VERSION;
        e.activation = VLM_ACT_SILU;
        e.residual = r.abi();
        e.scale = s.abi();
        std::vector<double> sums = expected(w, x);
        for (size_t i = 0; i < sums.size(); ++i) {
            const size_t o = i % 40;
            const double z = sums[i] + static_cast<double>(bias.data<float>()[o]);
            sums[i] = z / (1 + std::exp(-z)) * static_cast<double>(scale.data<float>()[o]) +
                      static_cast<double>(r_taken.data<float>()[i]);
        }
        expect_close(sums, multiply(pack({w}, {bias}), x, 40, &e));
    }
}

TEST_P(Fp8Ops, PartsGatesAndTransposedWeights) {
    vlm_epilogue gate{};
    gate.struct_size = sizeof(gate);
    gate.abi_version = VLM_ABI_VERSION;
    gate.activation = VLM_ACT_RELU;
    gate.gated = 1;
    const Tensor first = floats({21, 96}, 11, 0.1f), second = floats({21, 96}, 12, 0.1f), turned = floats({40, 26}, 13);
    Tensor straight(VLM_DTYPE_F32, {26, 40});
    for (int64_t o = 0; o < 26; ++o)
        for (int64_t k = 0; k < 40; ++k) straight.data<float>()[o * 40 + k] = turned.data<float>()[k * 26 + o];
    for (const int64_t rows : {1, 5, 12, 24}) {
        SCOPED_TRACE(rows);
        const Tensor x = floats({rows, 96}, 14), z = floats({rows, 40}, 15);
        std::vector<double> gates = expected(first, x);
        const std::vector<double> ups = expected(second, x);
        for (size_t i = 0; i < gates.size(); ++i) gates[i] = std::max(gates[i], 0.0) * ups[i];
        expect_close(gates, multiply(pack({first, second}), x, 21, &gate));
        expect_close(expected(straight, z), multiply(pack({turned}, {}, VLM_LINEAR_TRANSPOSED), z, 26));
    }
}

TEST_P(Fp8Ops, RowsOfZerosAndTinyOnes) {
    Tensor w = floats({32, 64}, 16), x = floats({12, 64}, 17);
    for (int64_t k = 0; k < 64; ++k) {
        w.data<float>()[5 * 64 + k] = 0.0f;
        x.data<float>()[2 * 64 + k] = 0.0f;
        x.data<float>()[3 * 64 + k] *= 1e-36f;
    }
    const Tensor y = multiply(pack({w}), x, 32);
    expect_close(expected(w, x), y);
    for (int64_t i = 0; i < 32; ++i) EXPECT_EQ(y.data<float>()[2 * 32 + i], 0.0f);
    for (int64_t r = 0; r < 12; ++r) EXPECT_EQ(y.data<float>()[r * 32 + 5], 0.0f);
}

/** The others of its batch hear nothing of a row that has gone wrong. */
TEST_P(Fp8Ops, NoNumbersStayInTheirRow) {
    const Tensor w = floats({32, 64}, 18);
    Tensor x = floats({12, 64}, 19);
    const Tensor clean = multiply(pack({w}), x, 32);
    x.data<float>()[4 * 64 + 7] = kNoNumber;
    x.data<float>()[9 * 64] = kInfinity;
    const Tensor y = multiply(pack({w}), x, 32);
    for (int64_t r = 0; r < 12; ++r)
        for (int64_t o = 0; o < 32; ++o) {
            const float found = y.data<float>()[r * 32 + o];
            const bool wrong = r == 4 || r == 9;
            EXPECT_EQ(std::isfinite(found), !wrong) << r << " " << o;
            EXPECT_TRUE(wrong || found == clean.data<float>()[r * 32 + o]) << r << " " << o;
        }
}

TEST_P(Fp8Ops, WeightsThatAreNoNumbersAreRefused) {
    for (const float none : {kNoNumber, kInfinity}) {
        Tensor w = floats({8, 64}, 20);
        w.data<float>()[77] = none;
        EXPECT_THROW(pack({w}), Error);
    }
    EXPECT_NO_THROW(pack({floats({8, 64}, 21)}));  // what was found is forgotten
}

std::string refusal(const std::string& device, const DeviceOptions& options, vlm_status code) {
    try {
#ifdef VLM_EMULATED_CUDA
        if (device != "cpu") open_cuda_device(0, options, {VLM_EMULATED_CUDA});
#endif
        open_device(device, options);
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), code) << error.what();
        return error.what();
    }
    return "opened";
}

TEST(Fp8Refusals, TheCpuSaysWhatItHasInstead) {
    for (const char* dtype : {"auto", "f32", "bf16"})
        EXPECT_THAT(refusal("cpu", {dtype, "fp8"}, VLM_STATUS_INVALID_ARGUMENT),
                    testing::AllOf(HasSubstr("weights \"fp8\""), HasSubstr("8.9"), HasSubstr("use \"int8\"")));
}

#ifdef VLM_EMULATED_CUDA
/** For as long as it lives. */
struct Environment {
    Environment(const char* name_in, const char* value) : name(name_in) { setenv(name, value, 1); }
    ~Environment() { unsetenv(name); }
    Environment(const Environment&) = delete;
    Environment& operator=(const Environment&) = delete;
    const char* name;
};

TEST(Fp8Refusals, OlderGpusSayWhatTheyAreAndWhatToUse) {
    const Environment old("VLM_EMULATED_CAPABILITY", "86");
    DeviceOptions one_layer{"bf16", "bf16"};
    one_layer.weight_rules = {{"backbone/layers.0.*", "fp8"}};
    for (const DeviceOptions& options : {DeviceOptions{"auto", "fp8"}, DeviceOptions{"f32", "fp8"}, one_layer})
        EXPECT_THAT(refusal("cuda", options, VLM_STATUS_UNAVAILABLE),
                    testing::AllOf(HasSubstr("weights \"fp8\""), HasSubstr("emulated GPU"), HasSubstr("capability 8.6"),
                                   HasSubstr("need 8.9"), HasSubstr("use \"int8\"")));
    EXPECT_NO_THROW(open_cuda_device(0, {"bf16", "int8"}, {VLM_EMULATED_CUDA}));
}

TEST(Fp8Refusals, AdaHasIt) {
    const Environment ada("VLM_EMULATED_CAPABILITY", "89");
    EXPECT_NE(open_cuda_device(0, {"bf16", "fp8"}, {VLM_EMULATED_CUDA})->description().find("fp8"), std::string::npos);
}

TEST(Fp8Policy, TheOutputLayerIsFinerAndRulesDecideFirst) {
    constexpr int64_t kFp8 = 64 * 64 + 64 * 4, kEight = 64 * 64 + 64 * 2 + 64, kHalf = 64 * 64 * 2;
    DeviceOptions options{"bf16", "fp8"};
    options.weight_rules = {{"*odd*", "bf16"}, {"*even*", "fp8"}};
    const auto device = open_cuda_device(0, options, {VLM_EMULATED_CUDA});
    EXPECT_EQ(bytes_of(*device, "backbone", "layers.1.mlp", 0), kFp8);
    EXPECT_EQ(bytes_of(*device, "vision_encoder", "layers.1.mlp", 0), kFp8);
    EXPECT_EQ(bytes_of(*device, "backbone", "head", VLM_LINEAR_KEEP_PRECISION), kEight);
    EXPECT_EQ(bytes_of(*device, "backbone", "even head", VLM_LINEAR_KEEP_PRECISION), kFp8);
    EXPECT_EQ(bytes_of(*device, "connector", "odd one", 0), kHalf);
    EXPECT_GT(device->weight_element_bytes(), 1.0);
    EXPECT_LT(device->weight_element_bytes(), 1.01);
}
#endif

}  // namespace
}  // namespace vlm::test
