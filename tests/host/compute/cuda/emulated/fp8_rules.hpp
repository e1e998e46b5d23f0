/** @file fp8_rules.hpp
 *  What cuBLASLt asks of a product with factors in fp8 (cuBLAS manual, cublasLtMatmul and "Scaling factors usage"), for
 * the emulations of it: a call that the library would refuse has to fail in a test, too. Where GPUs differ, what all of
 * them take counts: Blackwell would take factors that are not transposed, and Hopper vectors of scales.
 */
#pragma once
#include <cstdint>
#include <string>

namespace vlm::cuda {

/** `D[m, n] = op(A) op(B) + C` by columns, as the library sees it. */
struct Fp8Call {
    int capability = 0;  ///< 90 for 9.0.
    bool a_transposed = false, b_transposed = false;
    bool sums_in_f32 = false;    ///< Computed, and scaled, in f32.
    bool bf16_or_f32 = false;    ///< C and D are one of these two, both the same.
    bool scalar_scales = false;  ///< Scale pointers of A and B are NULL or point to one f32 each; C and D have none.
    bool bias_in_bf16 = true;    ///< Or there is none.
    int64_t m = 0, n = 0, k = 0;
    int64_t output_bytes = 0;  ///< Of one element of C and D.
    int64_t lda = 0, ldb = 0, ldc = 0, ldd = 0;
    const void* a = nullptr;
    const void* b = nullptr;
    const void* c = nullptr;
    const void* d = nullptr;
};

/** Why the library refuses the call, or an empty text. */
inline std::string fp8_refusal(const Fp8Call& call) {
    const auto aligned = [](int64_t bytes) { return bytes % 16 == 0; };
    const auto placed = [](const void* memory) {
        return memory != nullptr && reinterpret_cast<uintptr_t>(memory) % 16 == 0;
    };
    if (call.capability < 89) return "there is no fp8 below compute capability 8.9";
    if (!call.a_transposed || call.b_transposed) return "A has to be transposed, and B not";
    if (!call.sums_in_f32) return "sums and scales have to be in f32";
    if (!call.bf16_or_f32) return "C and D have to be both in bf16 or both in f32";
    if (!call.scalar_scales) return "scales other than one f32 for all of A or B are not for all GPUs";
    if (!call.bias_in_bf16) return "a bias has to be in bf16";
    if (!aligned(call.k)) return "the depth is no multiple of 16: " + std::to_string(call.k);
    if (!aligned(call.m * call.output_bytes)) return "a column of D is no multiple of 16 bytes";
    if (!aligned(call.lda) || !aligned(call.ldb)) return "leading dimensions of A or B are no multiples of 16";
    if (!aligned(call.ldc * call.output_bytes) || !aligned(call.ldd * call.output_bytes))
        return "leading dimensions of C or D are no multiples of 16 bytes";
    if (call.lda < call.k || call.ldb < call.k || call.ldc < call.m || call.ldd < call.m)
        return "a leading dimension is shorter than a column";
    if (!placed(call.a) || !placed(call.b) || !placed(call.c) || !placed(call.d))
        return "a matrix does not begin on 16 bytes";
    return {};
}

}  // namespace vlm::cuda
