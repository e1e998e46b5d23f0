/** @file linear_quant.hpp
 *  Kernels of linear layers whose weights are quantised or of half precision, as the table in linear.cpp names them.
 */
#pragma once
#include <memory>

#include "host/compute/cpu/linear.hpp"
#include "host/compute/cpu/quant.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

/** Quantised activations times quantised weights: integers inside a group, see quant.hpp. */
void multiply_int8(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                   int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte* ahead);
void multiply_int4(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                   int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte* ahead);

/** Exact activations (dtype f32): weights are expanded to f32 on the way. What quantised weights cost without that of
 * quantised activations, and what f16 checkpoints lose nothing in. */
void multiply_f32_f16(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                      int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte* ahead);
void multiply_f32_int8(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                       int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte* ahead);
void multiply_f32_int4(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                       int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte* ahead);

/** The first `rows` rows of `x` as 8-bit codes, quant_row_bytes(layer.depth) apart. */
std::unique_ptr<ScratchBuffer> quantise_activations(State& state, const Rows& x, int64_t rows, const vlm_linear& layer);

}  // namespace vlm::cpu
