/** @file rope_test.cpp
 *  Rotary tables and rotations against loops in double.
 */
#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

TEST(Rope, TablesOfAllAxesAndFractionalPositions) {
    Device device;
    const auto t = device.table();
    const int64_t n = 23;
    const std::vector<float> inverse = {1.0f, 0.3f, 0.01f, 0.0007f};
    const std::vector<int32_t> axis = {2, 0, 1, 0};
    vlm_rope_spec spec{};
    spec.struct_size = sizeof(spec);
    spec.abi_version = VLM_ABI_VERSION;
    spec.frequencies = 4;
    spec.axes = 3;
    spec.inv_freq = inverse.data();
    spec.axis = axis.data();
    spec.attention_scaling = 1.25f;
    Ints positions({3, n});
    Floats fractional({3, n}), cos({n, 4}), sin({n, 4});
    for (int64_t i = 0; i < 3 * n; ++i) {
        positions[i] = static_cast<int32_t>(i * 37 % 4001);
        fractional[i] = static_cast<float>(positions[i]) + 0.5f;
    }
    for (const bool integer : {true, false}) {
        EXPECT_OK(device, t->rope_table(t, device.run(), &spec, integer ? positions.abi() : fractional.abi(), cos.abi(),
                                        sin.abi()));
        for (int64_t i = 0; i < n; ++i)
            for (size_t f = 0; f < 4; ++f) {
                const int64_t at = axis[f] * n + i;
                const float angle = (integer ? static_cast<float>(positions[at]) : fractional[at]) * inverse[f];
                EXPECT_NEAR(cos[i * 4 + static_cast<int64_t>(f)], 1.25 * std::cos(static_cast<double>(angle)), 3e-7);
                EXPECT_NEAR(sin[i * 4 + static_cast<int64_t>(f)], 1.25 * std::sin(static_cast<double>(angle)), 3e-7);
            }
    }
    spec.axes = 4;
    EXPECT_EQ(t->rope_table(t, device.run(), &spec, positions.abi(), cos.abi(), sin.abi()),
              VLM_STATUS_INVALID_ARGUMENT);
    spec.axes = 2;  // axis[0] is 2
    EXPECT_EQ(t->rope_table(t, device.run(), &spec, positions.abi(), cos.abi(), sin.abi()),
              VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Rope, RotatesBothPairings) {
    Device device;
    const auto t = device.table();
    const int64_t n = 9, heads = 3, dim = 14, half = 5, width = heads * dim + 4;
    const Floats cos = random_floats({n, half}, 1), sin = random_floats({n, half}, 2);
    for (const int32_t interleaved : {0, 1}) {
        Floats memory = random_floats({n, width}, 3);
        const Floats before = memory;
        ViewOf<float> x(memory, 1, {n, heads, dim}, {width, dim, 1});
        Floats c = cos, s = sin;
        EXPECT_OK(device, t->rope(t, device.run(), x.abi(), c.abi(), s.abi(), interleaved));
        for (int64_t i = 0; i < n; ++i)
            for (int64_t h = 0; h < heads; ++h) {
                const int64_t base = i * width + 1 + h * dim;
                for (int64_t f = 0; f < half; ++f) {
                    const int64_t a = base + (interleaved != 0 ? 2 * f : f), b = interleaved != 0 ? a + 1 : a + half;
                    // Fused products are rounded once, which shows where the two nearly cancel.
                    constexpr float kRounding = 2e-7f;
                    EXPECT_NEAR(memory[a], before[a] * cos[i * half + f] - before[b] * sin[i * half + f], kRounding);
                    EXPECT_NEAR(memory[b], before[b] * cos[i * half + f] + before[a] * sin[i * half + f], kRounding);
                }
                for (int64_t d = 2 * half; d < dim; ++d) EXPECT_EQ(memory[base + d], before[base + d]);
            }
    }
    Floats x({n, heads, 8}), c = cos, s = sin;
    EXPECT_EQ(t->rope(t, device.run(), x.abi(), c.abi(), s.abi(), 0), VLM_STATUS_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace vlm::test
