/** @file vec_scalar.hpp
 *  Four floats without any instruction set: the compiler makes of them what the machine has (SSE2 on any x86-64). For
 * the file kernels_scalar.cpp only.
 */
#pragma once
#include <bit>
#include <cmath>
#include <cstdint>

#include "host/compute/cpu/convert.hpp"

namespace {

struct Vec {
    static constexpr int kWidth = 4;
    static constexpr int kTileRows = 3;
    static constexpr int kTileVecs = 2;
    using F = struct { float v[4]; };

    template <class Fn>
    static F make(Fn fn) {
        F r;
        for (int i = 0; i < 4; ++i) r.v[i] = fn(i);
        return r;
    }
    static void keep(F&) {}
    static F set(float x) {
        return make([&](int) { return x; });
    }
    static F load(const float* p) {
        return make([&](int i) { return p[i]; });
    }
    static void store(float* p, F x) {
        for (int i = 0; i < 4; ++i) p[i] = x.v[i];
    }
    static F load_part(const float* p, int64_t n) {
        return make([&](int i) { return i < n ? p[i] : 0.0f; });
    }
    static void store_part(float* p, F x, int64_t n) {
        for (int i = 0; i < n; ++i) p[i] = x.v[i];
    }
    static F add(F a, F b) {
        return make([&](int i) { return a.v[i] + b.v[i]; });
    }
    static F sub(F a, F b) {
        return make([&](int i) { return a.v[i] - b.v[i]; });
    }
    static F mul(F a, F b) {
        return make([&](int i) { return a.v[i] * b.v[i]; });
    }
    static F div(F a, F b) {
        return make([&](int i) { return a.v[i] / b.v[i]; });
    }
    static F fma(F a, F b, F c) {
        return make([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
    }
    /** The second operand when either is NaN, as the x86 instruction. */
    static F max(F a, F b) {
        return make([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
    }
    static F min(F a, F b) {
        return make([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
    }
    static F round(F a) {
        return make([&](int i) { return std::nearbyintf(a.v[i]); });
    }
    static F abs(F a) {
        return make([&](int i) { return std::fabs(a.v[i]); });
    }
    static F copysign(F magnitude, F sign) {
        return make([&](int i) { return std::copysign(magnitude.v[i], sign.v[i]); });
    }
    /** 2^n for integral n in [-126, 127]. */
    static F pow2(F n) {
        return make([&](int i) {
            const int32_t exponent = n.v[i] > -127.0f ? static_cast<int32_t>(n.v[i]) : -127;  // NaN: any
            return std::bit_cast<float>(static_cast<uint32_t>(exponent + 127) << 23);
        });
    }
    static F select_less(F a, F b, F yes, F no) {
        return make([&](int i) { return a.v[i] < b.v[i] ? yes.v[i] : no.v[i]; });
    }
    static float sum(F a) { return (a.v[0] + a.v[2]) + (a.v[1] + a.v[3]); }
    static float largest(F a) {
        float m = a.v[0];
        for (int i = 1; i < 4; ++i) m = a.v[i] > m ? a.v[i] : m;
        return m;
    }
    /** First halves of kWidth bf16 pairs, widened. */
    static F even(const uint16_t* p) {
        return make([&](int i) { return std::bit_cast<float>(static_cast<uint32_t>(p[2 * i]) << 16); });
    }
    static F odd(const uint16_t* p) {
        return make([&](int i) { return std::bit_cast<float>(static_cast<uint32_t>(p[2 * i + 1]) << 16); });
    }
    /** Rounds to nearest even; NaN stays NaN. */
    static void store_bf16(uint16_t* p, F x) {
        for (int i = 0; i < 4; ++i) {
            const auto bits = std::bit_cast<uint32_t>(x.v[i]);
            const bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
            p[i] = static_cast<uint16_t>((nan ? bits | 0x400000u : bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
        }
    }
    static F load_f16(const uint16_t* p) {
        return make([&](int i) { return vlm::cpu::f16_to_float(p[i]); });
    }
    static void store_f16(uint16_t* p, F x) {
        for (int i = 0; i < 4; ++i) p[i] = vlm::cpu::float_to_f16(x.v[i]);
    }
    static F load_int8(const int8_t* p) {
        return make([&](int i) { return static_cast<float>(p[i]); });
    }
    /** Whole numbers within [-128, 127]. */
    static void store_int8(int8_t* p, F x) {
        for (int i = 0; i < 4; ++i) p[i] = static_cast<int8_t>(x.v[i]);
    }
    /** The upper halves: bf16 of numbers that it can hold. */
    static void store_high(uint16_t* p, F x) {
        for (int i = 0; i < 4; ++i) p[i] = static_cast<uint16_t>(std::bit_cast<uint32_t>(x.v[i]) >> 16);
    }
    /** Visible keys keep their value, others become -infinity. */
    static F masked(F x, const uint8_t* mask, int64_t n) {
        return make([&](int i) { return i < n && mask[i] != 0 ? x.v[i] : -INFINITY; });
    }
};

}  // namespace
