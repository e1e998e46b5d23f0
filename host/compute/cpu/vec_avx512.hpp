/** @file vec_avx512.hpp
 *  Sixteen floats with AVX-512 F, BW, DQ, VL. For kernels_avx512.cpp and kernels_bf16.cpp only, behind their target
 * pragmas.
 */
#pragma once
#include <immintrin.h>

#include <cstdint>

namespace {

struct Vec {
    static constexpr int kWidth = 16;
    static constexpr int kTileRows = 14;
    static constexpr int kTileVecs = 2;
    using F = __m512;

    /** Holds a sum in its register: left to itself, g++ 12 moves sums about until some of them go through memory. */
    static void keep(F& x) { asm("" : "+v"(x)); }
    static F set(float x) { return _mm512_set1_ps(x); }
    static F load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
    static __mmask16 first(int64_t n) { return static_cast<__mmask16>(n >= 16 ? 0xFFFF : (1u << n) - 1); }
    static F load_part(const float* p, int64_t n) { return _mm512_maskz_loadu_ps(first(n), p); }
    static void store_part(float* p, F x, int64_t n) { _mm512_mask_storeu_ps(p, first(n), x); }
    static F add(F a, F b) { return _mm512_add_ps(a, b); }
    static F sub(F a, F b) { return _mm512_sub_ps(a, b); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F div(F a, F b) { return _mm512_div_ps(a, b); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    static F max(F a, F b) { return _mm512_max_ps(a, b); }
    static F min(F a, F b) { return _mm512_min_ps(a, b); }
    static F round(F a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
    static F abs(F a) { return _mm512_andnot_ps(_mm512_set1_ps(-0.0f), a); }
    static F copysign(F magnitude, F sign) {
        const F bit = _mm512_set1_ps(-0.0f);
        return _mm512_or_ps(_mm512_andnot_ps(bit, magnitude), _mm512_and_ps(bit, sign));
    }
    static F pow2(F n) { return _mm512_scalef_ps(_mm512_set1_ps(1.0f), n); }
    static F select_less(F a, F b, F yes, F no) {
        return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), no, yes);
    }
    static float sum(F a) { return _mm512_reduce_add_ps(a); }
    static float largest(F a) { return _mm512_reduce_max_ps(a); }
    static F even(const uint16_t* p) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_loadu_si512(p), 16)); }
    static F odd(const uint16_t* p) {
        const __m512i high = _mm512_set1_epi32(static_cast<int>(0xFFFF0000u));
        return _mm512_castsi512_ps(_mm512_and_si512(_mm512_loadu_si512(p), high));
    }
    static void store_bf16(uint16_t* p, F x) {
        const __m512i bits = _mm512_castps_si512(x);
        const __m512i odd_bit = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
        const __m512i rounded = _mm512_add_epi32(bits, _mm512_add_epi32(odd_bit, _mm512_set1_epi32(0x7FFF)));
        const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
        const __mmask16 nan = _mm512_cmp_ps_mask(x, x, _CMP_UNORD_Q);
        const __m512i high = _mm512_srli_epi32(_mm512_mask_blend_epi32(nan, rounded, quiet), 16);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), _mm512_cvtepi32_epi16(high));
    }
    static F load_f16(const uint16_t* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static void store_f16(uint16_t* p, F x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm512_cvtps_ph(x, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
    }
    static F load_int8(const int8_t* p) {
        return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))));
    }
    /** Whole numbers within [-128, 127]. */
    static void store_int8(int8_t* p, F x) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(x)));
    }
    /** The upper halves: bf16 of numbers that it can hold. */
    static void store_high(uint16_t* p, F x) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(p),
                            _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_castps_si512(x), 16)));
    }
    static F masked(F x, const uint8_t* mask, int64_t n) {
        const __m128i bytes = _mm_maskz_loadu_epi8(first(n), mask);
        const __mmask16 visible = _mm_test_epi8_mask(bytes, bytes);
        return _mm512_mask_blend_ps(visible, _mm512_set1_ps(-__builtin_inff()), x);
    }
};

}  // namespace
