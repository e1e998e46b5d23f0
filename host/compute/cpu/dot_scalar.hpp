/** @file dot_scalar.hpp
 *  Four products of bytes at a time without any instruction set. For kernels_quant_scalar.cpp only. The fused
 * multiply-add is the library's, since its rounding is part of the result.
 */
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "host/compute/cpu/convert.hpp"

namespace {

struct Dot {
    static constexpr int kWidth = 1;
    static constexpr int kTileRows = 2;
    static constexpr int kTileVecs = 4;
    static constexpr int kRowVecs = 4;
    using F = float;
    using B = uint32_t;

    template <int Bits>
    struct Sum {
        int32_t total;
        static Sum begin(const std::byte* offset) { return {Bits == 8 ? static_cast<int32_t>(load(offset)) : 0}; }
        void add(B codes, B x) {
            for (int shift = 0; shift < 32; shift += 8)
                total +=
                    static_cast<int32_t>(codes >> shift & 255u) * static_cast<int8_t>(static_cast<uint8_t>(x >> shift));
        }
        F value(const std::byte*) const { return static_cast<float>(total); }
    };

    static B load(const void* p) {
        B bytes;
        __builtin_memcpy(&bytes, p, sizeof(bytes));
        return bytes;
    }
    static B broadcast(const std::byte* p) { return load(p); }
    static B low(B b) { return b & 0x0F0F0F0Fu; }
    static B high(B b) { return b >> 4 & 0x0F0F0F0Fu; }
    static B exponents(const uint8_t* p) { return static_cast<B>(*p) << 23; }
    static F scales(const uint8_t* p, B base) {
        const B bits = (static_cast<B>(*p) << 19) + base;
        F scale;
        __builtin_memcpy(&scale, &bits, sizeof(scale));
        return scale;
    }
    /** Zero points as factors of a row's offsets, which are -128 times the sum: 1 / (16 * 128). */
    static F zeros(const uint8_t* p) { return static_cast<float>(*p) * 0x1p-11f; }
    static F whole(const std::byte* p) { return static_cast<float>(static_cast<int32_t>(load(p))); }
    static F spread(const std::byte* p) {
        F value;
        __builtin_memcpy(&value, p, sizeof(value));
        return value;
    }
    static F half(const uint16_t* p) { return vlm::cpu::f16_to_float(*p); }
    static F set(float x) { return x; }
    static F mul(F a, F b) { return a * b; }
    static F fma(F a, F b, F c) { return std::fma(a, b, c); }
    static void store(float* p, F x) { *p = x; }
};

}  // namespace
