/** @file dot_scalar.hpp
 *  Four products of bytes at a time without any instruction set. For kernels_quant_scalar.cpp only. The fused
 * multiply-add is the library's, since its rounding is part of the result.
 */
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/quant.hpp"

namespace {

struct Dot {
    static constexpr int kWidth = 1;
    static constexpr int kWideRows = 2;
    static constexpr int kTileVecs = 4;
    using F = float;
    using B = uint32_t;

    static B dot(B total, B codes, B x) {
        auto sum = static_cast<int32_t>(total);
        for (int shift = 0; shift < 32; shift += 8)
            sum += static_cast<int32_t>(codes >> shift & 255u) * static_cast<int8_t>(static_cast<uint8_t>(x >> shift));
        return static_cast<B>(sum);
    }

    template <int Bits>
    struct Sum {
        static constexpr vlm::cpu::QuantTile kTile = {2, 4, 4};
        int32_t total;
        static Sum begin(const std::byte* offset) { return {Bits == 8 ? static_cast<int32_t>(load(offset)) : 0}; }
        void add(B codes, B x) { total = static_cast<int32_t>(dot(static_cast<B>(total), codes, x)); }
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
    static B none() { return 0; }
    static B plus(B a, B b) { return a + b; }
    static F real(B b) { return static_cast<float>(static_cast<int32_t>(b)); }
    static F read(const float* p) { return *p; }
    static void write(void* p, B b) { __builtin_memcpy(p, &b, sizeof(b)); }
    /** See quant_wide_inl.hpp. */
    template <int Shift>
    static B recoded(B codes, B zero, B factor, B flip) {
        B result = 0;
        for (int shift = 0; shift < 32; shift += 8) {
            const auto value = static_cast<int32_t>((codes >> shift & 255u) << Shift);
            const int32_t product =
                (value - static_cast<int32_t>(zero & 0xFFFFu)) * static_cast<int32_t>(factor & 0xFFFFu);
            result |= (static_cast<B>((product + 0x4000) >> 15) & 255u) << shift;
        }
        return result ^ flip;
    }
    static void store(float* p, F x) { *p = x; }
};

}  // namespace
