/** @file self_check.hpp
 *  What a device tries out when it is opened: whether its products and its attention are right, on the GPU that is
 * there.
 *
 *  Kernels rest on what only a GPU can show: register layouts of the tensor cores, copies that run beside the products,
 * a library's idea of rows and columns. A wrong one would give wrong answers that look like a model's. So each way to
 * compute something does a small problem whose result is known, and one that fails is not used where there is another;
 * it takes milliseconds.
 */
#pragma once
#include <vector>

#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

/** Products beside those of the CPU: cuBLASLt, what it fuses, and the own kernel for few rows with weights of the
 * activations' type, 8 and 4 bits, and both with fp8 when it is wanted. Sets state.dense_works, fused_works, fp8_works,
 * few_rows_work and row_tiles_work and logs a warning for what is not used, and when products in f32 are rounded to
 * TF32.
 * @throws Error INTERNAL when neither way to multiply works, or weights cannot be quantised. */
void check_products(State& state);

/** The plain attention kernel beside the CPU, and those for bf16 beside the plain one: sets state.tiles_work and
 * state.decodes_work, and logs a warning when a kernel is not used. In f32, or when the environment has
 * VLM_CUDA_ATTENTION=reference, there is only the plain one.
 * @throws Error INTERNAL when that is wrong. */
void check_attention(State& state);

/** Steps that are recorded and launched as graphs beside the same work done at once: turns graphs on when both give the
 * same, else logs a warning. VLM_CUDA_GRAPHS in the environment: `off` leaves them out, `on` insists.
 * @throws Error INVALID_ARGUMENT when it is anything but off, on and auto; UNAVAILABLE when it insists in vain. */
void check_graphs(State& state);

/** The largest logits of rows with equal ones, infinities and a NaN beside those of the CPU: sets
 * state.top_logits_work, and logs a warning when rows have to go to the CPU. */
void check_top_logits(State& state);

/** `count` numbers of spread 1, always the same for the same seed. */
std::vector<float> check_numbers(int64_t count, uint64_t seed);
/** Uploads numbers as f32 or bf16. */
void put_numbers(State& state, const Queue& queue, const std::vector<float>& numbers, uint32_t dtype, void* target);
/** Downloads `count` numbers of f32 or bf16, and leaves NaN in their place. */
std::vector<float> take_numbers(State& state, const Queue& queue, void* source, uint32_t dtype, int64_t count);
/** Largest difference over the largest expected number; infinity when something is no number. */
float largest_difference(const std::vector<float>& expected, const std::vector<float>& found);

}  // namespace vlm::cuda
