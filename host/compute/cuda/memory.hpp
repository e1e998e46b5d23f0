/** @file memory.hpp
 *  What `memory.cpp` offers beside the table.
 */
#pragma once
#include <array>

#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

/** A tensor that the device owns. `tensor.owner` points to the struct itself. */
struct OwnedTensor {
    vlm_tensor tensor{};
    std::array<int64_t, VLM_MAX_DIMS> shape{};
    void* block = nullptr;
    int64_t bytes = 0;
};

/** Frees what the context of `run` has created and not destroyed. */
void free_run_tensors(State& state, const vlm_run_context* run) noexcept;
/** Frees all tensors, when the device goes. */
void free_all_tensors(State& state) noexcept;

/** Copies between any two places and dtypes, in row-major order; waits when `dst` is on the host. */
void copy_tensor(State& state, const Queue& queue, const vlm_tensor* src, vlm_tensor* dst);

/** Uploads host elements of any strides and dtype to `target` on the GPU, converting. */
void upload_view(State& state, const Queue& queue, const View& source, const View& target);

/** `view` itself when compact behind its first dimension; else a compact copy in `buffer`. */
View with_compact_rows(State& state, const Queue& queue, const View& view, std::unique_ptr<Temporary>& buffer);

}  // namespace vlm::cuda
