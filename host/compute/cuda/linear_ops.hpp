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

namespace vlm::cuda {

/** What a `vlm_linear` of this device is: `[out, in]` in one dtype, rows padded to 8 elements. A type of its own, since
 * the CPU device defines the ABI's name. */
struct PackedLayer {
    std::string name;
    int64_t in = 0, out = 0;
    int64_t stride = 0;  ///< Elements between rows of the weight.
    uint32_t dtype = 0;
    void* weight = nullptr;
    float* bias = nullptr;         ///< `[out]`, or NULL.
    void* product_bias = nullptr;  ///< The same in the activation dtype, which cuBLASLt wants.
    std::vector<int64_t> parts;    ///< First output of each part, and the number of outputs.
    std::vector<std::pair<void*, int64_t>> blocks;
};

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
