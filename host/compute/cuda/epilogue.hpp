/** @file epilogue.hpp
 *  What follows a sum of products, in one place for all kernels that make such sums.
 */
#pragma once
#include "host/compute/cuda/dense_kernels.hpp"

namespace vlm::cuda {

/** All of the epilogue but the residual; `up` is the second half's sum when gated. */
VLM_HD float activated(const LinearEpilogue& e, int64_t o, float sum, float up) {
    float x = activate(e.activation, e.bias != nullptr ? sum + e.bias[o] : sum);
    if (e.gated) x *= e.bias != nullptr ? up + e.bias[o + e.outputs] : up;
    if (e.scale != nullptr) x *= e.scale[e.scale_each ? o : 0];
    return x;
}

/** Applies the epilogue to output `o` of row `r`. */
template <class T>
VLM_HD void finish(const LinearEpilogue& e, int64_t r, int64_t o, float sum, float up, const RowLayout& y) {
    float x = activated(e, o, sum, up);
    if (e.residual.data != nullptr) x += to_float(e.residual.row<T>(r)[o]);
    from_float(x, y.row<T>(r)[o]);
}

}  // namespace vlm::cuda
