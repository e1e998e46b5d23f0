/** @file memory.hpp
 *  What `memory.cpp` offers beside the table: the ends of life of tensors.
 */
#pragma once
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

/** A tensor that the device owns. `tensor.owner` points to the struct itself. */
struct OwnedTensor {
    vlm_tensor tensor{};
    std::array<int64_t, VLM_MAX_DIMS> shape{};
    void* block = nullptr;
    int64_t granted = 0;
    const void* context = nullptr;
};

/** Frees what the context of `run` has created and not destroyed. */
void free_run_tensors(State& state, const vlm_run_context* run) noexcept;
/** Frees all tensors, when the device goes. */
void free_all_tensors(State& state) noexcept;

/** Copies `src` to `dst` of the same element count in row-major order, converting the dtype. */
void convert_elements(State& state, const View& src, const View& dst);

/** `view` itself when its rows are a uniform distance apart with stride 1 inside; else a compact f32 copy in scratch
 * memory that `buffer` keeps alive. */
View with_uniform_rows(State& state, const View& view, std::unique_ptr<ScratchBuffer>& buffer);

}  // namespace vlm::cpu
