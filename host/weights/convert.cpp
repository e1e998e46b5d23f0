/** @file convert.cpp
 *  Kernels carry target attributes, so this file needs no compiler flags; each bulk function converts whole vectors at
 * the level that active_isa() allows and leaves the rest to the scalar code, which is the definition. There are no
 * AVX-512 kernels: 32-byte vectors reach the memory bandwidth already (Zen 5: 33 to 41 GB/s; wider ones stayed
 * within 12 % or were slower, on a noisy machine).
 */
#include "host/weights/convert.hpp"

#include <vlm/tensor.h>

#include <array>
#include <bit>
#include <cstring>

#include "host/base/cpu_features.hpp"
#include "host/base/error.hpp"
#include "host/weights/dtype.hpp"

#if defined(__x86_64__)
#include <immintrin.h>
#define VLM_AVX2 __attribute__((target("avx2,f16c")))
#endif

namespace vlm {
namespace {

float e4m3_value(uint8_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x80) << 24;
    const uint32_t exponent = (bits >> 3) & 0xf;
    const uint32_t mantissa = bits & 7;
    if ((bits & 0x7f) == 0x7f) return std::bit_cast<float>(sign | 0x7fc00000U);
    if (exponent == 0) {
        constexpr float kSmallest = 0x1p-9F;
        const float magnitude = static_cast<float>(mantissa) * kSmallest;
        return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
    }
    return std::bit_cast<float>(sign | ((exponent + 120) << 23) | (mantissa << 20));  // 120 = 127 - 7
}

template <class Function>
std::array<float, 256> table_of(Function&& value) {
    std::array<float, 256> table{};
    for (size_t i = 0; i < table.size(); ++i) table[i] = value(static_cast<uint8_t>(i));
    return table;
}

void by_table(const std::array<float, 256>& table, const uint8_t* in, float* out, size_t n) {
    for (size_t i = 0; i < n; ++i) out[i] = table[in[i]];
}

template <class T>
void numbers_to_f32(const void* in, float* out, size_t n) {
    const char* bytes = static_cast<const char*>(in);
    for (size_t i = 0; i < n; ++i) {
        T value{};
        std::memcpy(&value, bytes + i * sizeof(T), sizeof(T));
        out[i] = static_cast<float>(value);
    }
}

#if defined(__x86_64__)

// Each kernel returns how many elements it has converted: the largest multiple of its vector length.

VLM_AVX2 size_t bf16_to_f32_avx2(const uint16_t* in, float* out, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(half), 16)));
    }
    return i;
}

VLM_AVX2 size_t f16_to_f32_avx2(const uint16_t* in, float* out, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m128i half = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i));
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(half));
    }
    return i;
}

VLM_AVX2 size_t f32_to_f16_avx2(const float* in, uint16_t* out, size_t n) {
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m128i half = _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), half);
    }
    return i;
}

/** Eight floats' bits to bfloat16 in the low halves: adding 0x7fff plus the lowest kept bit rounds to nearest even. */
VLM_AVX2 inline __m256i round_bf16_avx2(__m256i bits) {
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256i magnitude = _mm256_and_si256(bits, _mm256_set1_epi32(0x7fffffff));
    const __m256i is_nan = _mm256_cmpgt_epi32(magnitude, _mm256_set1_epi32(0x7f800000));
    return _mm256_srli_epi32(_mm256_blendv_epi8(rounded, quiet, is_nan), 16);
}

VLM_AVX2 size_t f32_to_bf16_avx2(const float* in, uint16_t* out, size_t n) {
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256i low = round_bf16_avx2(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i)));
        const __m256i high = round_bf16_avx2(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(in + i + 8)));
        const __m256i packed = _mm256_permute4x64_epi64(_mm256_packus_epi32(low, high), 0xd8);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), packed);
    }
    return i;
}

/** Runs the vector kernel if the active level has it; the number of elements that it has converted. */
template <class In, class Out>
size_t convert_vectors(size_t (*avx2)(const In*, Out*, size_t), const In* in, Out* out, size_t n) {
    return active_isa() >= Isa::avx2 ? avx2(in, out, n) : 0;
}

#endif

}  // namespace

float bf16_to_f32(uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

float f16_to_f32(uint16_t bits) {
    const uint32_t sign = static_cast<uint32_t>(bits & 0x8000) << 16;
    const uint32_t exponent = (bits >> 10) & 0x1f;
    const uint32_t mantissa = bits & 0x3ff;
    if (exponent == 0x1f) {
        const uint32_t quiet = mantissa != 0 ? 0x400000U : 0U;
        return std::bit_cast<float>(sign | 0x7f800000U | quiet | (mantissa << 13));
    }
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24F;
        return std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) | sign);
    }
    return std::bit_cast<float>(sign | ((exponent + 112) << 23) | (mantissa << 13));  // 112 = 127 - 15
}

uint16_t f32_to_bf16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7fffffffU) > 0x7f800000U) return static_cast<uint16_t>((bits | 0x400000U) >> 16);
    return static_cast<uint16_t>((bits + 0x7fffU + ((bits >> 16) & 1U)) >> 16);
}

uint16_t f32_to_f16(float value) {
    const uint32_t bits = std::bit_cast<uint32_t>(value);
    const uint32_t sign = (bits >> 16) & 0x8000U;
    const uint32_t magnitude = bits & 0x7fffffffU;
    if (magnitude > 0x7f800000U) {
        return static_cast<uint16_t>(sign | 0x7e00U | ((magnitude >> 13) & 0x3ffU));
    }
    if (magnitude >= 0x477ff000U) return static_cast<uint16_t>(sign | 0x7c00U);  // 65520 and above round to infinity
    if (magnitude < 0x38800000U) {
        // Below 2^-14: the float adder, at the scale where its last bit is 2^-24, rounds exactly as a denormal must.
        constexpr float kScale = 0.5F;
        const float shifted = std::bit_cast<float>(magnitude) + kScale;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - std::bit_cast<uint32_t>(kScale)));
    }
    const uint32_t rebiased = magnitude - (112U << 23);
    return static_cast<uint16_t>(sign | ((rebiased + 0xfffU + ((rebiased >> 13) & 1U)) >> 13));
}

void bf16_to_f32(const uint16_t* in, float* out, size_t n) {
    size_t i = 0;
#if defined(__x86_64__)
    i = convert_vectors(bf16_to_f32_avx2, in, out, n);
#endif
    for (; i < n; ++i) {
        const uint32_t bits = static_cast<uint32_t>(in[i]) << 16;
        std::memcpy(out + i, &bits, sizeof bits);  // through memory: a float register may make a NaN quiet
    }
}

void f16_to_f32(const uint16_t* in, float* out, size_t n) {
    size_t i = 0;
#if defined(__x86_64__)
    i = convert_vectors(f16_to_f32_avx2, in, out, n);
#endif
    for (; i < n; ++i) out[i] = f16_to_f32(in[i]);
}

void f32_to_bf16(const float* in, uint16_t* out, size_t n) {
    size_t i = 0;
#if defined(__x86_64__)
    i = convert_vectors(f32_to_bf16_avx2, in, out, n);
#endif
    for (; i < n; ++i) out[i] = f32_to_bf16(in[i]);
}

void f32_to_f16(const float* in, uint16_t* out, size_t n) {
    size_t i = 0;
#if defined(__x86_64__)
    i = convert_vectors(f32_to_f16_avx2, in, out, n);
#endif
    for (; i < n; ++i) out[i] = f32_to_f16(in[i]);
}

void f8_e4m3_to_f32(const uint8_t* in, float* out, size_t n) {
    static const std::array<float, 256> table = table_of(e4m3_value);
    by_table(table, in, out, n);
}

void f8_e5m2_to_f32(const uint8_t* in, float* out, size_t n) {
    static const std::array<float, 256> table =
        table_of([](uint8_t bits) { return f16_to_f32(static_cast<uint16_t>(bits << 8)); });
    by_table(table, in, out, n);
}

void to_f32(uint32_t dtype, const void* in, float* out, size_t n) {
    switch (dtype) {
        case VLM_DTYPE_F32:
            if (n > 0) std::memcpy(out, in, n * sizeof(float));
            return;
        case VLM_DTYPE_BF16:
            return bf16_to_f32(static_cast<const uint16_t*>(in), out, n);
        case VLM_DTYPE_F16:
            return f16_to_f32(static_cast<const uint16_t*>(in), out, n);
        case VLM_DTYPE_F8_E4M3:
            return f8_e4m3_to_f32(static_cast<const uint8_t*>(in), out, n);
        case VLM_DTYPE_F8_E5M2:
            return f8_e5m2_to_f32(static_cast<const uint8_t*>(in), out, n);
        case VLM_DTYPE_F64:
            return numbers_to_f32<double>(in, out, n);
        case VLM_DTYPE_I64:
            return numbers_to_f32<int64_t>(in, out, n);
        case VLM_DTYPE_I32:
            return numbers_to_f32<int32_t>(in, out, n);
        case VLM_DTYPE_I16:
            return numbers_to_f32<int16_t>(in, out, n);
        case VLM_DTYPE_I8:
            return numbers_to_f32<int8_t>(in, out, n);
        case VLM_DTYPE_U8:
            return numbers_to_f32<uint8_t>(in, out, n);
        case VLM_DTYPE_BOOL:
            for (size_t i = 0; i < n; ++i) out[i] = static_cast<const uint8_t*>(in)[i] != 0 ? 1.0F : 0.0F;
            return;
        default:
            throw unimplemented("conversion of dtype " + dtype_name(dtype) + " to F32 is not supported");
    }
}

}  // namespace vlm
