/** @file linear_ops.hpp
 *  A packed layer on the GPU, and what of an epilogue cuBLASLt takes over.
 */
#pragma once
#include <vlm/linear.h>

#include <string>
#include <utility>
#include <vector>

#include "host/compute/cuda/dense_kernels.hpp"
#include "host/compute/cuda/runtime.hpp"
#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

/** What a `vlm_linear` of this device is. A type of its own, since the CPU device defines the ABI's name. */
struct LinearLayer {
    std::string name;
    int64_t in = 0, out = 0;
    WeightType type = WeightType::f32;
    WeightMatrix weight;
    float* bias = nullptr;         ///< `[out]`, or NULL.
    void* product_bias = nullptr;  ///< The same in the activation dtype, which cuBLASLt wants.
    std::vector<int64_t> parts;    ///< First output of each part, and the number of outputs.
    std::vector<std::pair<void*, int64_t>> blocks;
};

/** Outputs [first, first + n) of a layer's weights, which are not quantised, as a view on the GPU. */
View weight_rows(const LinearLayer& layer, int64_t first, int64_t n);

/** What a dense product does itself. */
struct FusedEpilogue {
    bool complete = false;  ///< Everything: the product writes the output. Else a pass over its result does.
    bool residual = false;
    Epilogue epilogue = Epilogue::none;
};

/** cuBLASLt adds the residual before its activation, knows RELU and the tanh GELU, and writes rows a fixed distance
 * apart. All that stands behind a scale, a gate or another activation needs the pass. */
FusedEpilogue fuse_epilogue(const LinearEpilogue& epilogue, const RowLayout& y);

}  // namespace vlm::cuda
