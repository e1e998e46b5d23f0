/** @file convert.hpp
 *  Element types as C++ types, one at a time and without branches on tables, so that a loop over a strided tensor can
 * be written once and instantiated per dtype. The speed that matters (packing, KV cache) is in the vector kernels; this
 * is for what is done once per load or at the edge of the graph.
 */
#pragma once
#include <vlm/tensor.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace vlm::cpu {

/** bfloat16 as the upper half of a float. */
struct Bf16 {
    uint16_t bits;
};
/** IEEE half precision. */
struct F16 {
    uint16_t bits;
};
/** DLPack's bool: one byte, 0 or 1. */
struct Bool8 {
    uint8_t value;
};
/** The OCP 8-bit floats. */
struct F8E4M3 {
    uint8_t bits;
};
struct F8E5M2 {
    uint8_t bits;
};

inline float bf16_to_float(uint16_t bits) {
    return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16);
}

/** Rounds to nearest, ties to even; NaN stays NaN. */
inline uint16_t float_to_bf16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
    return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

inline float f16_to_float(uint16_t half) {
    const uint32_t sign = static_cast<uint32_t>(half & 0x8000u) << 16;
    const uint32_t exponent = (half >> 10) & 0x1Fu;
    const uint32_t mantissa = half & 0x3FFu;
    if (exponent == 0x1Fu) return std::bit_cast<float>(sign | 0x7F800000u | (mantissa << 13));
    if (exponent == 0) {
        const float magnitude = static_cast<float>(mantissa) * 0x1p-24f;
        return sign != 0 ? -magnitude : magnitude;
    }
    return std::bit_cast<float>(sign | ((exponent + 112u) << 23) | (mantissa << 13));
}

/** Rounds to nearest, ties to even; overflows to infinity. */
inline uint16_t float_to_f16(float value) {
    const auto bits = std::bit_cast<uint32_t>(value);
    const auto sign = static_cast<uint16_t>((bits >> 16) & 0x8000u);
    const uint32_t magnitude = bits & 0x7FFFFFFFu;
    if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
    if (magnitude >= 0x47800000u) return static_cast<uint16_t>(sign | 0x7C00u);
    if (magnitude < 0x38800000u) {
        // Adding 0.5 shifts the mantissa so that the float unit itself rounds to the half's last denormal bit.
        const float shifted = std::bit_cast<float>(magnitude) + 0.5f;
        return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(shifted) - 0x3F000000u));
    }
    const uint32_t rounded = magnitude + 0xFFFu + ((magnitude >> 13) & 1u);
    return static_cast<uint16_t>(sign | ((rounded - 0x38000000u) >> 13));
}

inline float to_float(float v) {
    return v;
}
inline float to_float(double v) {
    return static_cast<float>(v);
}
inline float to_float(Bf16 v) {
    return bf16_to_float(v.bits);
}
inline float to_float(F16 v) {
    return f16_to_float(v.bits);
}
inline float to_float(Bool8 v) {
    return v.value != 0 ? 1.0f : 0.0f;
}
inline float to_float(F8E5M2 v) {
    return f16_to_float(static_cast<uint16_t>(v.bits << 8));
}
inline float to_float(F8E4M3 v) {
    const int exponent = (v.bits >> 3) & 15, mantissa = v.bits & 7;
    float magnitude = exponent == 0 ? std::ldexp(static_cast<float>(mantissa), -9)
                                    : std::ldexp(static_cast<float>(8 + mantissa), exponent - 10);
    if (exponent == 15 && mantissa == 7) magnitude = std::numeric_limits<float>::quiet_NaN();
    return (v.bits & 0x80u) != 0 ? -magnitude : magnitude;
}
template <class Int>
float to_float(Int v) {
    return static_cast<float>(v);
}

/** As double, exact for every type but large i64. */
template <class T>
double to_double(T v) {
    if constexpr (requires { static_cast<double>(v); }) {
        return static_cast<double>(v);
    } else {
        return static_cast<double>(to_float(v));
    }
}

/** Stores a number; integers are truncated toward zero and held inside their range, NaN becomes 0. */
template <class T>
void store_number(double value, T& out) {
    if constexpr (std::numeric_limits<T>::is_integer) {
        constexpr auto low = static_cast<double>(std::numeric_limits<T>::min());
        constexpr auto high = static_cast<double>(std::numeric_limits<T>::max());
        if (std::isnan(value)) {
            out = 0;
        } else if (value <= low) {
            out = std::numeric_limits<T>::min();
        } else if (value >= high) {
            out = std::numeric_limits<T>::max();
        } else {
            out = static_cast<T>(value);
        }
    } else {
        out = static_cast<T>(value);
    }
}
inline void store_number(double value, Bf16& out) {
    out.bits = float_to_bf16(static_cast<float>(value));
}
inline void store_number(double value, F16& out) {
    out.bits = float_to_f16(static_cast<float>(value));
}
inline void store_number(double value, Bool8& out) {
    out.value = value != 0.0 ? 1 : 0;
}

/** Calls `fn` with a value of the C++ type of `dtype`; false when there is none. */
template <class Fn>
bool with_type(uint32_t dtype, Fn&& fn) {
    switch (dtype) {
        case VLM_DTYPE_F32:
            return fn(float{}), true;
        case VLM_DTYPE_F64:
            return fn(double{}), true;
        case VLM_DTYPE_F16:
            return fn(F16{}), true;
        case VLM_DTYPE_BF16:
            return fn(Bf16{}), true;
        case VLM_DTYPE_I8:
            return fn(int8_t{}), true;
        case VLM_DTYPE_I16:
            return fn(int16_t{}), true;
        case VLM_DTYPE_I32:
            return fn(int32_t{}), true;
        case VLM_DTYPE_I64:
            return fn(int64_t{}), true;
        case VLM_DTYPE_U8:
            return fn(uint8_t{}), true;
        case VLM_DTYPE_BOOL:
            return fn(Bool8{}), true;
        case VLM_DTYPE_F8_E4M3:
            return fn(F8E4M3{}), true;
        case VLM_DTYPE_F8_E5M2:
            return fn(F8E5M2{}), true;
        default:
            return false;
    }
}

/** Whether with_type can store this dtype; the 8-bit floats are only read. */
inline bool storable(uint32_t dtype) {
    return dtype != VLM_DTYPE_F8_E4M3 && dtype != VLM_DTYPE_F8_E5M2;
}
/** Whether the dtype is a float of any width. */
inline bool is_float(uint32_t dtype) {
    const uint32_t code = dtype >> 16;
    return code == VLM_TYPE_FLOAT || code == VLM_TYPE_BFLOAT || code == VLM_TYPE_FLOAT8_E4M3FN ||
           code == VLM_TYPE_FLOAT8_E5M2;
}

}  // namespace vlm::cpu
