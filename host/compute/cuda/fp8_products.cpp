/** @file fp8_products.cpp
 *  Products of weights and activations that are both codes in e4m3, as cuBLASLt offers them from compute capability 8.9
 * on: the weights have one scale per output, the activations one per row, found in a small kernel when the product is
 * made ("dynamic" quantisation per token).
 *
 *  cuBLASLt multiplies the bare codes here, and the scales are multiplied to its sums in the pass that does the rest of
 * the epilogue. The library has vectors of scales itself (CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F), but from 12.9 on
 * and on Hopper alone: Ada and Blackwell refuse them (NVIDIA/CUDALibrarySamples issue 270, pytorch/pytorch pull request
 * 160693). Bare codes with the scales that it takes for 1 work on all three, and bf16 has room for any sum of them.
 * What it costs is that bias and activation are never fused with the product.
 *
 *  What the library asks of products in fp8 (cuBLAS manual, cublasLtMatmul): the weights transposed, the activations
 * not; everything aligned to 16 bytes, sides included, which is why the weights are padded when they are packed; sums
 * and scales in f32; an output in bf16 or f32. Its own choice to add in the tensor cores alone ("fast accumulation") is
 * left off. Rows are padded to 16 as well: that costs little and gives all lengths of a prompt fewer shapes to choose
 * algorithms for.
 *
 *  With activations in f32 nothing is rounded to fp8 but the weights, and they are expanded.
 */
#include "host/compute/cuda/fp8_products.hpp"

namespace vlm::cuda {

bool multiplies_in_fp8(const State& state, const WeightMatrix& weight) {
    return weight.e4m3() && state.fp8_works && state.options.activation_dtype == VLM_DTYPE_BF16;
}

bool multiply_fp8(State& state, const Queue& queue, const WeightMatrix& weight, const RowLayout& x,
                  const LinearEpilogue& e, const RowLayout& y) {
    const uint32_t dtype = state.options.activation_dtype;
    const int64_t outputs = e.gated ? 2 * e.outputs : e.outputs;
    DenseProduct product;
    product.dtype = dtype;
    product.e4m3 = true;
    product.rows = divide_up(x.count, kE4m3Step) * kE4m3Step;
    product.in = product.x_stride = product.weight_stride = weight.stride;
    product.out = product.y_stride = divide_up(outputs, kE4m3Step) * kE4m3Step;
    const Temporary codes(state, queue, checked_product(product.rows, product.in));
    const Temporary scales(state, queue, product.rows * 4);
    const Temporary sums(state, queue, checked_product(product.rows, product.out, cpu::element_bytes(dtype)));
    launch_rows_to_e4m3(queue, "linear", dtype, x, product.rows, {codes.as<uint8_t>(), scales.as<float>(), product.in},
                        nullptr);
    product.x = codes.as<void>();
    product.weight = weight.data;
    product.y = sums.as<void>();
    if (!state.multiply(queue, product)) return false;
    launch_epilogue(queue, dtype, rows_at(sums.as<void>(), x.count, product.out, product.out), e, y,
                    {scales.as<float>(), weight.out_scales});
    return true;
}

}  // namespace vlm::cuda
