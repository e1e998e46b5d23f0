/** @file rope_test.cpp
 *  Rotary tables and rotations against loops in double.
 */
#include <limits>

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
    // C libraries' cosine is within one unit in the last place (at most two roundings); the product is rounded once.
    constexpr double kBound = 3 * 1.25 * kRoundoff;
    for (const bool integer : {true, false}) {
        EXPECT_OK(device, t->rope_table(t, device.run(), &spec, integer ? positions.abi() : fractional.abi(), cos.abi(),
                                        sin.abi()));
        for (int64_t i = 0; i < n; ++i)
            for (size_t f = 0; f < 4; ++f) {
                const int64_t at = axis[f] * n + i;
                const float angle = (integer ? static_cast<float>(positions[at]) : fractional[at]) * inverse[f];
                EXPECT_NEAR(cos[i * 4 + static_cast<int64_t>(f)], 1.25 * std::cos(static_cast<double>(angle)), kBound);
                EXPECT_NEAR(sin[i * 4 + static_cast<int64_t>(f)], 1.25 * std::sin(static_cast<double>(angle)), kBound);
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
        Floats cos_in = cos, sin_in = sin;
        EXPECT_OK(device, t->rope(t, device.run(), x.abi(), cos_in.abi(), sin_in.abi(), interleaved));
        for (int64_t i = 0; i < n; ++i)
            for (int64_t h = 0; h < heads; ++h) {
                const int64_t base = i * width + 1 + h * dim;
                for (int64_t f = 0; f < half; ++f) {
                    const int64_t a = base + (interleaved != 0 ? 2 * f : f), b = interleaved != 0 ? a + 1 : a + half;
                    const double xa = before[a], xb = before[b], c = cos[i * half + f], s = sin[i * half + f];
                    // Each product and their sum are rounded at most once; fused ones less often.
                    constexpr double kUnit = std::numeric_limits<float>::epsilon() / 2;
                    EXPECT_NEAR(memory[a], xa * c - xb * s, 2.1 * kUnit * (std::abs(xa * c) + std::abs(xb * s)));
                    EXPECT_NEAR(memory[b], xb * c + xa * s, 2.1 * kUnit * (std::abs(xb * c) + std::abs(xa * s)));
                }
                for (int64_t d = 2 * half; d < dim; ++d) EXPECT_EQ(memory[base + d], before[base + d]);
            }
    }
    Floats x({n, heads, 8}), c = cos, s = sin;
    EXPECT_EQ(t->rope(t, device.run(), x.abi(), c.abi(), s.abi(), 0), VLM_STATUS_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace vlm::test
