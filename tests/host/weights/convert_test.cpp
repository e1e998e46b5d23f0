/** @file convert_test.cpp
 *  All 65536 (or 256) inputs of each widening, and every level of the machine against the scalar code. The expected
 * values are computed from the definition of each format with ldexp, not with the code under test.
 */
#include "host/weights/convert.hpp"

#include <gtest/gtest.h>
#include <vlm/tensor.h>

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "host/base/cpu_features.hpp"
#include "host/base/error.hpp"

namespace vlm {
namespace {

constexpr Isa kLevels[] = {Isa::scalar, Isa::avx2, Isa::avx512};

/** Value of a small IEEE-like float by its definition; `finite_only`: the largest exponent is an ordinary one. */
double value_of(uint32_t bits, int exponent_bits, int mantissa_bits, bool finite_only) {
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int top = (1 << exponent_bits) - 1;
    const uint32_t mantissa = bits & ((1U << mantissa_bits) - 1);
    const int exponent = static_cast<int>(bits >> mantissa_bits) & top;
    const double sign = (bits >> (mantissa_bits + exponent_bits)) != 0 ? -1.0 : 1.0;
    if (exponent == top && !finite_only) {
        return mantissa != 0 ? std::nan("") : sign * std::numeric_limits<double>::infinity();
    }
    if (exponent == 0) return sign * std::ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * std::ldexp((1U << mantissa_bits) + mantissa, exponent - bias - mantissa_bits);
}

std::vector<uint16_t> all_words() {
    std::vector<uint16_t> words(65536);
    for (size_t i = 0; i < words.size(); ++i) words[i] = static_cast<uint16_t>(i);
    return words;
}

void expect_value(float found, double expected, size_t input) {
    if (std::isnan(expected)) {
        ASSERT_TRUE(std::isnan(found)) << input;
    } else {
        ASSERT_EQ(static_cast<double>(found), expected) << input;
        ASSERT_EQ(std::signbit(found), std::signbit(expected)) << input;
    }
}

TEST(Convert, WideningIsExactForAllInputsAtEveryLevel) {
    const std::vector<uint16_t> words = all_words();
    std::vector<uint32_t> bf16_bits;
    std::vector<uint32_t> f16_bits;
    for (const Isa level : kLevels) {
        const ScopedIsaCap cap(level);
        std::vector<float> from_bf16(words.size());
        std::vector<float> from_f16(words.size());
        bf16_to_f32(words.data(), from_bf16.data(), words.size());
        f16_to_f32(words.data(), from_f16.data(), words.size());
        for (size_t i = 0; i < words.size(); ++i) {
            const uint32_t bf16_result = std::bit_cast<uint32_t>(from_bf16[i]);
            const uint32_t f16_result = std::bit_cast<uint32_t>(from_f16[i]);
            ASSERT_EQ(bf16_result, static_cast<uint32_t>(words[i]) << 16);
            expect_value(from_bf16[i], value_of(words[i], 8, 7, false), i);
            expect_value(from_f16[i], value_of(words[i], 5, 10, false), i);
            if (level == Isa::scalar) {
                f16_bits.push_back(f16_result);
            } else {
                ASSERT_EQ(f16_result, f16_bits[i]) << isa_name(level) << ' ' << i;
            }
        }
    }
}

TEST(Convert, EightBitFloats) {
    std::vector<uint8_t> bytes(256);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
    std::vector<float> e4m3(256);
    std::vector<float> e5m2(256);
    f8_e4m3_to_f32(bytes.data(), e4m3.data(), bytes.size());
    f8_e5m2_to_f32(bytes.data(), e5m2.data(), bytes.size());
    for (size_t i = 0; i < bytes.size(); ++i) {
        expect_value(e4m3[i], (i & 0x7f) == 0x7f ? std::nan("") : value_of(bytes[i], 4, 3, true), i);
        expect_value(e5m2[i], value_of(bytes[i], 5, 2, false), i);
    }
    EXPECT_EQ(e4m3[0x7e], 448.0F);
    EXPECT_EQ(e5m2[0x7b], 57344.0F);
    EXPECT_TRUE(std::isinf(e5m2[0xfc]));
}

TEST(Convert, NarrowingOfEveryExactValueGivesItBack) {
    const std::vector<uint16_t> words = all_words();
    for (const Isa level : kLevels) {
        const ScopedIsaCap cap(level);
        std::vector<float> wide(words.size());
        std::vector<uint16_t> back(words.size());
        bf16_to_f32(words.data(), wide.data(), words.size());
        f32_to_bf16(wide.data(), back.data(), words.size());
        for (size_t i = 0; i < words.size(); ++i) {
            const bool nan = (words[i] & 0x7fff) > 0x7f80;
            ASSERT_EQ(back[i], nan ? words[i] | 0x40 : words[i]) << isa_name(level);
        }
        f16_to_f32(words.data(), wide.data(), words.size());
        f32_to_f16(wide.data(), back.data(), words.size());
        for (size_t i = 0; i < words.size(); ++i) {
            const bool nan = (words[i] & 0x7fff) > 0x7c00;
            ASSERT_EQ(back[i], nan ? words[i] | 0x200 : words[i]) << isa_name(level);
        }
    }
}

/** Around every representable value and every midpoint between two of them: the float itself and its neighbours. */
std::vector<float> rounding_cases(float (*widen)(uint16_t)) {
    std::vector<float> cases;
    for (uint32_t word = 0; word < 65536; ++word) {
        const float here = widen(static_cast<uint16_t>(word));
        const float next = widen(static_cast<uint16_t>((word & 0x8000) | ((word + 1) & 0x7fff)));
        if (std::isnan(here)) continue;
        cases.push_back(here);
        if (std::isnan(next)) continue;
        const float middle =
            std::isinf(next) ? std::nextafter(here, next) : static_cast<float>((static_cast<double>(here) + next) / 2);
        for (const float x : {middle, std::nextafter(middle, -INFINITY), std::nextafter(middle, INFINITY)})
            cases.push_back(x);
    }
    // The middle between the largest value and what would come next, where rounding turns to infinity.
    for (const float x : {65519.99F, 65520.0F, 65535.0F, 3.3961775e38F, 3.4028235e38F, 1e-45F, 1e-40F, 2.9802322e-8F}) {
        for (const float y : {x, -x, std::nextafter(x, 0.0F), std::nextafter(x, INFINITY)}) cases.push_back(y);
    }
    return cases;
}

/** Round to nearest even by definition, in double: the nearest of all representable magnitudes. */
uint16_t nearest_even(float value, int mantissa_bits, int min_exponent, double largest, uint16_t infinity) {
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const double magnitude = std::fabs(static_cast<double>(value));
    if (magnitude == 0) return sign;
    int exponent = 0;
    (void)std::frexp(magnitude, &exponent);
    const int unit = std::max(exponent - 1, min_exponent) - mantissa_bits;
    const double steps = std::nearbyint(std::ldexp(magnitude, -unit));  // ties to even in the default mode
    const double rounded = std::ldexp(steps, unit);
    if (rounded > largest) return static_cast<uint16_t>(sign | infinity);
    const int biased =
        unit + mantissa_bits - min_exponent;  // 0: denormals and the lowest normal binade share their unit
    return static_cast<uint16_t>(sign |
                                 (static_cast<uint32_t>(steps) + (static_cast<uint32_t>(biased) << mantissa_bits)));
}

TEST(Convert, NarrowingRoundsToNearestEvenAtEveryLevel) {
    const std::vector<float> for_bf16 = rounding_cases(bf16_to_f32);
    const std::vector<float> for_f16 = rounding_cases(f16_to_f32);
    for (const Isa level : kLevels) {
        const ScopedIsaCap cap(level);
        std::vector<uint16_t> out(for_bf16.size());
        f32_to_bf16(for_bf16.data(), out.data(), out.size());
        const double bf16_largest = bf16_to_f32(uint16_t{0x7f7f});
        for (size_t i = 0; i < out.size(); ++i) {
            ASSERT_EQ(out[i], nearest_even(for_bf16[i], 7, -126, bf16_largest, 0x7f80))
                << for_bf16[i] << isa_name(level);
        }
        out.resize(for_f16.size());
        f32_to_f16(for_f16.data(), out.data(), out.size());
        for (size_t i = 0; i < out.size(); ++i) {
            ASSERT_EQ(out[i], nearest_even(for_f16[i], 10, -14, 65504, 0x7c00)) << for_f16[i] << isa_name(level);
        }
    }
}

TEST(Convert, LevelsAgreeOnArbitraryBits) {
    std::vector<float> in(100003);
    uint64_t state = 7;
    for (float& x : in) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        x = std::bit_cast<float>(static_cast<uint32_t>(state >> 32));
    }
    std::vector<uint16_t> bf16(in.size());
    std::vector<uint16_t> f16(in.size());
    {
        const ScopedIsaCap cap(Isa::scalar);
        f32_to_bf16(in.data(), bf16.data(), in.size());
        f32_to_f16(in.data(), f16.data(), in.size());
    }
    for (const Isa level : kLevels) {
        const ScopedIsaCap cap(level);
        std::vector<uint16_t> out(in.size());
        f32_to_bf16(in.data(), out.data(), in.size());
        ASSERT_EQ(out, bf16) << isa_name(level);
        f32_to_f16(in.data(), out.data(), in.size());
        ASSERT_EQ(out, f16) << isa_name(level);
    }
}

TEST(Convert, WritesNotOneElementTooMany) {
    const std::vector<float> in(40, 1.5F);
    for (size_t n = 0; n <= 40; ++n) {
        std::vector<uint16_t> out(41, 0xdead);
        f32_to_bf16(in.data(), out.data(), n);
        std::vector<float> back(41, -7.0F);
        bf16_to_f32(out.data(), back.data(), n);
        for (size_t i = 0; i < 41; ++i) {
            ASSERT_EQ(out[i], i < n ? 0x3fc0 : 0xdead);
            ASSERT_EQ(back[i], i < n ? 1.5F : -7.0F);
        }
    }
}

TEST(Convert, AnyDtypeToFloat) {
    float out[3] = {};
    const double f64[] = {1.5, -2.0, 1e-300};
    to_f32(VLM_DTYPE_F64, f64, out, 3);
    EXPECT_EQ(out[0], 1.5F);
    EXPECT_EQ(out[2], 0.0F);
    const int64_t i64[] = {-5, int64_t{1} << 40, 16777217};
    to_f32(VLM_DTYPE_I64, i64, out, 3);
    EXPECT_EQ(out[1], 1099511627776.0F);
    EXPECT_EQ(out[2], 16777216.0F);
    const int32_t i32[] = {-7};
    to_f32(VLM_DTYPE_I32, i32, out, 1);
    EXPECT_EQ(out[0], -7.0F);
    const int16_t i16[] = {-300};
    to_f32(VLM_DTYPE_I16, i16, out, 1);
    EXPECT_EQ(out[0], -300.0F);
    const int8_t i8[] = {-128};
    to_f32(VLM_DTYPE_I8, i8, out, 1);
    EXPECT_EQ(out[0], -128.0F);
    const uint8_t u8[] = {255, 2, 0};
    to_f32(VLM_DTYPE_U8, u8, out, 3);
    EXPECT_EQ(out[0], 255.0F);
    to_f32(VLM_DTYPE_BOOL, u8, out, 3);
    EXPECT_EQ(out[1], 1.0F);
    EXPECT_EQ(out[2], 0.0F);
    const uint16_t half[] = {0x3c00};
    to_f32(VLM_DTYPE_F16, half, out, 1);
    EXPECT_EQ(out[0], 1.0F);
    to_f32(VLM_DTYPE_BF16, half, out, 1);
    EXPECT_EQ(out[0], 0.0078125F);
    to_f32(VLM_DTYPE_F8_E4M3, u8 + 1, out, 1);
    EXPECT_EQ(out[0], 0x1p-8F);
    to_f32(VLM_DTYPE_F8_E5M2, u8 + 1, out, 1);
    EXPECT_EQ(out[0], 0x1p-15F);
    const float f32[] = {3.25F};
    to_f32(VLM_DTYPE_F32, f32, out, 1);
    EXPECT_EQ(out[0], 3.25F);
    EXPECT_THROW(to_f32(0x50040, f32, out, 1), Error);
}

}  // namespace
}  // namespace vlm
