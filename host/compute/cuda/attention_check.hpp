/** @file attention_check.hpp
 *  Whether the attention kernels for bf16 give what the plain kernel gives, on the GPU that is there.
 *
 *  They rest on what only a GPU can show: register layouts of the tensor cores, copies that run beside the products. A
 * wrong one would give wrong answers that look like a model's. So each is tried once, when the device is opened, on a
 * small problem, and one that differs is not used.
 */
#pragma once
#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

/** Sets state.tiles_work and state.decodes_work, and logs a warning when a kernel is not used. Does nothing in f32, or
 * when the environment has VLM_CUDA_ATTENTION=reference. */
void check_attention(State& state);

}  // namespace vlm::cuda
