/** @file top_logits_ops.hpp
 *  What Device::top_logits asks of the GPU.
 */
#pragma once
#include <span>
#include <vector>

#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

/** Of rows of logits on the CPU. */
struct TopFound {
    std::vector<Candidate> best;  ///< `[rows, count]`, best first; the first of a row with a NaN has the index -1.
    std::vector<double> log_sums;
};

/** The `count` largest of `columns` logits from each address on, which is on the GPU; waits. */
TopFound find_top_logits(State& state, const Queue& queue, std::span<const float* const> rows, int64_t columns,
                         int64_t count);

/** Of the last row of each tensor `[rows, n]` f32. @throws Error INVALID_ARGUMENT when the tensors are others or have
 * fewer than `count` columns. */
TopFound top_logits(State& state, const Queue& queue, std::span<const vlm_tensor* const> tensors, int64_t count);

}  // namespace vlm::cuda
