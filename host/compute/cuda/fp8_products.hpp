/** @file fp8_products.hpp
 *  Dense products in fp8.
 */
#pragma once
#include "host/compute/cuda/linear_ops.hpp"

namespace vlm::cuda {

/** Whether products of many rows with this layer are tried in fp8: its weights are, activations may be rounded to it,
 * and the check at opening has not forbidden it. */
bool multiplies_in_fp8(const State& state, const WeightMatrix& weight);

/** `y = epilogue(x W^T)` with the rows of `x` rounded to e4m3. False, and nothing of use done, when the library has no
 * way to do it. */
bool multiply_fp8(State& state, const Queue& queue, const WeightMatrix& weight, const RowLayout& x,
                  const LinearEpilogue& e, const RowLayout& y);

}  // namespace vlm::cuda
