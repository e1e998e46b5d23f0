/** @file dot_avx512.hpp
 *  Sixteen dot products of four bytes with AVX-512. For the files kernels_quant_avx512.cpp and
 * kernels_quant_avx512_vnni.cpp only, behind their target pragmas; they add `Sum`, in which they differ.
 */
#pragma once
#include <immintrin.h>

#include <cstddef>
#include <cstdint>

namespace {

struct DotAvx512 {
    static constexpr int kWidth = 16;
    static constexpr int kWideRows = 14;
    static constexpr int kTileVecs = 2;
    using F = __m512;
    using B = __m512i;

    static B load(const void* p) { return _mm512_loadu_si512(p); }
    static B broadcast(const std::byte* p) {
        int quad;
        __builtin_memcpy(&quad, p, sizeof(quad));
        return _mm512_set1_epi32(quad);
    }
    static B low(B b) { return _mm512_and_si512(b, _mm512_set1_epi8(15)); }
    static B high(B b) { return low(_mm512_srli_epi16(b, 4)); }
    static B widened(const uint8_t* p) {
        return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
    }
    static B exponents(const uint8_t* p) { return _mm512_slli_epi32(widened(p), 23); }
    static F scales(const uint8_t* p, B base) {
        return _mm512_castsi512_ps(_mm512_add_epi32(_mm512_slli_epi32(widened(p), 19), base));
    }
    /** Zero points as factors of a row's offsets, which are -128 times the sum: 1 / (16 * 128). */
    static F zeros(const uint8_t* p) { return _mm512_mul_ps(_mm512_cvtepi32_ps(widened(p)), _mm512_set1_ps(0x1p-11f)); }
    static F whole(const std::byte* p) { return _mm512_cvtepi32_ps(broadcast(p)); }
    static F spread(const std::byte* p) { return _mm512_castsi512_ps(broadcast(p)); }
    static F half(const uint16_t* p) {
        return _mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static F set(float x) { return _mm512_set1_ps(x); }
    static F mul(F a, F b) { return _mm512_mul_ps(a, b); }
    static F fma(F a, F b, F c) { return _mm512_fmadd_ps(a, b, c); }
    static B none() { return _mm512_setzero_si512(); }
    static B plus(B a, B b) { return _mm512_add_epi32(a, b); }
    /** Adds pairs of products in 16 bits. The empty instruction holds the sum in its register: left to itself, g++ 12
     * moves sums through memory. */
    static void add_pairs(B& sum, B codes, B x) {
        sum = _mm512_add_epi16(sum, _mm512_maddubs_epi16(codes, x));
        asm("" : "+v"(sum));
    }
    /** `factor` times pairs of 16-bit sums, added in 32 bits. */
    static B widened_pairs(B sums, int16_t factor) { return _mm512_madd_epi16(sums, _mm512_set1_epi16(factor)); }
    static F real(B b) { return _mm512_cvtepi32_ps(b); }
    static F read(const float* p) { return _mm512_loadu_ps(p); }
    static void write(void* p, B b) { _mm512_storeu_si512(p, b); }
    /** See quant_wide_inl.hpp. */
    template <int Shift>
    static B recoded(B codes, B zero, B factor, B flip) {
        const B even = _mm512_slli_epi16(_mm512_and_si512(codes, _mm512_set1_epi16(255)), Shift);
        const B odd = _mm512_slli_epi16(_mm512_srli_epi16(codes, 8), Shift);
        const B low = _mm512_mulhrs_epi16(_mm512_sub_epi16(even, zero), factor);
        const B high = _mm512_slli_epi16(_mm512_mulhrs_epi16(_mm512_sub_epi16(odd, zero), factor), 8);
        const B both = _mm512_or_si512(_mm512_and_si512(low, _mm512_set1_epi16(255)), high);
        return _mm512_xor_si512(both, flip);
    }
    static void store(float* p, F x) { _mm512_storeu_ps(p, x); }
};

}  // namespace
