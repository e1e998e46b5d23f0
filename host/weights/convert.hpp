/** @file convert.hpp
 *  Element types of checkpoints to and from float, in bulk. Both paths (scalar, AVX2 with F16C) give the same
 * bits for every input, denormals, infinities and NaN payloads included, so that results cannot depend on the machine.
 * For that reason `vcvtneps2bf16` is not used: it flushes denormals.
 *
 *  A conversion to a narrower type rounds to nearest, ties to even; too large becomes infinity; a NaN stays a NaN and
 * becomes quiet. Input and output may not overlap. Pointers need the alignment of their element only. Single-threaded:
 * callers cut the work.
 */
#pragma once
#include <cstddef>
#include <cstdint>

namespace vlm {

/** `n` bfloat16 values to float; exact, NaN payloads kept as they are. */
void bf16_to_f32(const uint16_t* in, float* out, size_t n);

/** `n` IEEE binary16 values to float; exact; signalling NaN become quiet (as the F16C instruction does). */
void f16_to_f32(const uint16_t* in, float* out, size_t n);

/** `n` float8 E4M3 values (the "FN" kind: no infinities, 0x7f and 0xff are NaN; OCP FP8 specification 1.0) to float;
 * exact. */
void f8_e4m3_to_f32(const uint8_t* in, float* out, size_t n);

/** `n` float8 E5M2 values (IEEE-like, the upper byte of a binary16) to float; exact. */
void f8_e5m2_to_f32(const uint8_t* in, float* out, size_t n);

/** `n` floats to bfloat16. */
void f32_to_bf16(const float* in, uint16_t* out, size_t n);

/** `n` floats to IEEE binary16. */
void f32_to_f16(const float* in, uint16_t* out, size_t n);

/** `n` elements of any dtype of the ABI (`VLM_DTYPE_*`) to float, rounding where float is narrower (f64, i32, i64).
 *  @throws Error UNIMPLEMENTED for another dtype, naming it. */
void to_f32(uint32_t dtype, const void* in, float* out, size_t n);

/** One value; what the bulk functions do. */
float bf16_to_f32(uint16_t bits);
/** @copydoc bf16_to_f32(uint16_t) */
float f16_to_f32(uint16_t bits);
/** @copydoc bf16_to_f32(uint16_t) */
uint16_t f32_to_bf16(float value);
/** @copydoc bf16_to_f32(uint16_t) */
uint16_t f32_to_f16(float value);

}  // namespace vlm
