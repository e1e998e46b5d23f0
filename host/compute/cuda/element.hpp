/** @file element.hpp
 *  Element types and scalar functions, the same for a GPU and for the CPU that executes kernels in tests. bfloat16 and
 * half are plain bits here, because CUDA's own types do not exist in a build without CUDA.
 */
#pragma once
#include <vlm/linear.h>
#include <vlm/tensor.h>

#include <cmath>
#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#include <cuda_fp16.h>
#define VLM_HD __host__ __device__ __forceinline__
#define VLM_UNROLL _Pragma("unroll")
#else
#define VLM_HD inline
#define VLM_UNROLL
#endif

namespace vlm::cuda {

/** bfloat16. */
struct Bf16 {
    uint16_t bits;
};
/** IEEE half precision. */
struct F16 {
    uint16_t bits;
};

VLM_HD float float_from_bits(uint32_t bits) {
#if defined(__CUDA_ARCH__)
    return __uint_as_float(bits);
#else
    float value;
    std::memcpy(&value, &bits, sizeof(value));
    return value;
#endif
}
VLM_HD uint32_t bits_of_float(float value) {
#if defined(__CUDA_ARCH__)
    return __float_as_uint(value);
#else
    uint32_t bits;
    std::memcpy(&bits, &value, sizeof(bits));
    return bits;
#endif
}

VLM_HD float to_float(float v) {
    return v;
}
VLM_HD float to_float(Bf16 v) {
    return float_from_bits(static_cast<uint32_t>(v.bits) << 16);
}
VLM_HD float to_float(F16 v) {
#if defined(__CUDA_ARCH__)
    return __half2float(__ushort_as_half(v.bits));
#else
    const uint32_t sign = static_cast<uint32_t>(v.bits & 0x8000u) << 16;
    const uint32_t exponent = (v.bits >> 10) & 0x1Fu, mantissa = v.bits & 0x3FFu;
    if (exponent == 0x1Fu) return float_from_bits(sign | 0x7F800000u | (mantissa << 13));
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 5.9604644775390625e-8f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return float_from_bits(sign | ((exponent + 112u) << 23) | (mantissa << 13));
#endif
}

/** Rounds to nearest, ties to even; NaN stays NaN. */
VLM_HD void from_float(float value, float& out) {
    out = value;
}
VLM_HD void from_float(float value, Bf16& out) {
#if defined(__CUDA_ARCH__)
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out.bits) : "f"(value));
#else
    const uint32_t bits = bits_of_float(value);
    const bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    out.bits = static_cast<uint16_t>(nan ? (bits >> 16) | 0x40u : (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
#endif
}
/** Two numbers as bf16, `low` in the lower half. */
VLM_HD uint32_t pack_pair(float low, float high) {
#if defined(__CUDA_ARCH__)
    uint32_t pair;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(high), "f"(low));
    return pair;
#else
    Bf16 a, b;
    from_float(low, a);
    from_float(high, b);
    return static_cast<uint32_t>(a.bits) | static_cast<uint32_t>(b.bits) << 16;
#endif
}
VLM_HD void from_float(float value, F16& out) {
    const uint32_t bits = bits_of_float(value), sign = (bits >> 16) & 0x8000u, magnitude = bits & 0x7FFFFFFFu;
    uint32_t half;
    if (magnitude > 0x7F800000u) {
        half = 0x7E00u;
    } else if (magnitude >= 0x47800000u) {
        half = 0x7C00u;
    } else if (magnitude < 0x38800000u) {
        // Adding 0.5 shifts the mantissa so that the float unit itself rounds to the half's last denormal bit.
        half = bits_of_float(float_from_bits(magnitude) + 0.5f) - 0x3F000000u;
    } else {
        half = (magnitude + 0xFFFu + ((magnitude >> 13) & 1u) - 0x38000000u) >> 13;
    }
    out.bits = static_cast<uint16_t>(sign | half);
}

/** The OCP 8-bit float e4m3fn. */
VLM_HD float e4m3_to_float(uint8_t bits) {
    const uint32_t exponent = (bits >> 3) & 15u, mantissa = bits & 7u;
    const float sign = (bits & 0x80u) != 0 ? -1.0f : 1.0f;
    if (exponent == 15 && mantissa == 7) return float_from_bits(0x7FC00000u);
    if (exponent == 0) return sign * static_cast<float>(mantissa) * 0.001953125f;
    return sign * float_from_bits(((exponent + 120u) << 23) | (mantissa << 20));
}

/** Rounds to the nearest e4m3fn, ties to even, numbers beyond 448 to that; infinities and NaN become NaN. */
VLM_HD uint8_t e4m3_from_float(float value) {
    const uint32_t bits = bits_of_float(value), sign = (bits >> 24) & 0x80u, magnitude = bits & 0x7FFFFFFFu;
    uint32_t code;
    if (magnitude >= 0x7F800000u) {
        code = 0x7Fu;
    } else if (magnitude >= 0x43E00000u) {
        code = 0x7Eu;
    } else if (magnitude < 0x3C800000u) {
        // The last bit of 16384 is the smallest e4m3: the float unit itself rounds to that.
        code = bits_of_float(float_from_bits(magnitude) + 16384.0f) - 0x46800000u;
    } else {
        code = ((magnitude + 0x7FFFFu + ((magnitude >> 20) & 1u)) >> 20) - (120u << 3);
    }
    return static_cast<uint8_t>(sign | code);
}

/** Element `i` of memory of any dtype of the ABI, as a double (exact but for large i64). */
VLM_HD double load_number(uint32_t dtype, const void* data, int64_t i) {
    switch (dtype) {
        case VLM_DTYPE_F32:
            return static_cast<double>(static_cast<const float*>(data)[i]);
        case VLM_DTYPE_F64:
            return static_cast<const double*>(data)[i];
        case VLM_DTYPE_F16:
            return static_cast<double>(to_float(static_cast<const F16*>(data)[i]));
        case VLM_DTYPE_BF16:
            return static_cast<double>(to_float(static_cast<const Bf16*>(data)[i]));
        case VLM_DTYPE_I8:
            return static_cast<double>(static_cast<const int8_t*>(data)[i]);
        case VLM_DTYPE_I16:
            return static_cast<double>(static_cast<const int16_t*>(data)[i]);
        case VLM_DTYPE_I32:
            return static_cast<double>(static_cast<const int32_t*>(data)[i]);
        case VLM_DTYPE_I64:
            return static_cast<double>(static_cast<const int64_t*>(data)[i]);
        case VLM_DTYPE_U8:
            return static_cast<double>(static_cast<const uint8_t*>(data)[i]);
        case VLM_DTYPE_BOOL:
            return static_cast<const uint8_t*>(data)[i] != 0 ? 1.0 : 0.0;
        case VLM_DTYPE_F8_E4M3:
            return static_cast<double>(e4m3_to_float(static_cast<const uint8_t*>(data)[i]));
        case VLM_DTYPE_F8_E5M2:
            return static_cast<double>(to_float(F16{static_cast<uint16_t>(static_cast<const uint8_t*>(data)[i] << 8)}));
        default:
            return 0.0;
    }
}

/** Truncates toward zero inside [low, high]; NaN becomes 0. */
VLM_HD double held(double value, double low, double high) {
    if (value != value) return 0.0;
    return value < low ? low : value > high ? high : value;
}

/** Stores a number as dtype; 8-bit floats are only read. */
VLM_HD void store_number(uint32_t dtype, void* data, int64_t i, double value) {
    switch (dtype) {
        case VLM_DTYPE_F32:
            static_cast<float*>(data)[i] = static_cast<float>(value);
            break;
        case VLM_DTYPE_F64:
            static_cast<double*>(data)[i] = value;
            break;
        case VLM_DTYPE_F16:
            from_float(static_cast<float>(value), static_cast<F16*>(data)[i]);
            break;
        case VLM_DTYPE_BF16:
            from_float(static_cast<float>(value), static_cast<Bf16*>(data)[i]);
            break;
        case VLM_DTYPE_I8:
            static_cast<int8_t*>(data)[i] = static_cast<int8_t>(held(value, -128.0, 127.0));
            break;
        case VLM_DTYPE_I16:
            static_cast<int16_t*>(data)[i] = static_cast<int16_t>(held(value, -32768.0, 32767.0));
            break;
        case VLM_DTYPE_I32:
            static_cast<int32_t*>(data)[i] = static_cast<int32_t>(held(value, -2147483648.0, 2147483647.0));
            break;
        case VLM_DTYPE_I64:
            // 2^63 itself is a double, but no i64.
            static_cast<int64_t*>(data)[i] = value >= 9223372036854775808.0
                                                 ? INT64_MAX
                                                 : static_cast<int64_t>(held(value, -9223372036854775808.0, value));
            break;
        case VLM_DTYPE_U8:
            static_cast<uint8_t*>(data)[i] = static_cast<uint8_t>(held(value, 0.0, 255.0));
            break;
        case VLM_DTYPE_BOOL:
            static_cast<uint8_t*>(data)[i] = value != 0.0 ? 1 : 0;
            break;
        default:
            break;
    }
}

/** VLM_ACT_* of one number; the formulas of linear.h. */
VLM_HD float activate(uint32_t kind, float x) {
    switch (kind) {
        case VLM_ACT_RELU:
            return x < 0.0f ? 0.0f : x;
        case VLM_ACT_GELU:
            return 0.5f * x * (1.0f + erff(x * 0.70710678118654752f));
        case VLM_ACT_GELU_TANH:
            return 0.5f * x * (1.0f + tanhf(0.79788456080286536f * (x + 0.044715f * x * x * x)));
        case VLM_ACT_QUICK_GELU:
            return x / (1.0f + expf(-1.702f * x));
        case VLM_ACT_SILU:
            return x / (1.0f + expf(-x));
        case VLM_ACT_RELU2:
            return x < 0.0f ? 0.0f : x * x;
        case VLM_ACT_TANH:
            return tanhf(x);
        case VLM_ACT_SIGMOID:
            return 1.0f / (1.0f + expf(-x));
        default:
            return x;
    }
}

VLM_HD float infinity() {
    return float_from_bits(0x7F800000u);
}

/** PyTorch's order of `argmax` and `topk`: NaN is the largest. */
VLM_HD bool larger(float a, float b) {
    return a > b || (a != a && b == b);
}

}  // namespace vlm::cuda
