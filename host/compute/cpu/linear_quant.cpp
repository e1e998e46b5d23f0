/** @file linear_quant.cpp
 *  See linear_quant.hpp. The panels know their own layout; here the calls of linear.cpp are fitted to them.
 */
#include "host/compute/cpu/linear_quant.hpp"

#include <algorithm>

namespace vlm::cpu {

namespace {

/** Exact activations: weights are expanded to f32, a piece that stays in the first-level cache at a time.
 *  `expand(begin, depth, out)` writes `[depth][32]`. */
template <class Expand>
void multiply_expanded(const Kernels& kernels, const void* a, int64_t lda, int64_t depth, float* c, int64_t ldc,
                       int64_t rows, Expand&& expand) {
    constexpr int64_t kPiece = 192;
    alignas(64) float piece[kPiece * kPanel];
    for (int64_t k = 0; k < depth; k += kPiece) {
        const int64_t count = std::min(kPiece, depth - k);
        expand(k, count, piece);
        kernels.gemm_f32(static_cast<const float*>(a) + k, lda, piece, count, c, ldc, rows, k > 0);
    }
}

template <int64_t Bits>
void multiply_f32_quantised(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t depth,
                            float* c, int64_t ldc, int64_t rows) {
    const QuantLayout layout = QuantLayout::of(Bits, depth);
    multiply_expanded(kernels, a, lda, depth, c, ldc, rows, [&](int64_t begin, int64_t count, float* out) {
        quant_kernels().dequantise(panel, layout, begin, count, out);
    });
}

}  // namespace

void multiply_int8(const Kernels&, const void* a, int64_t lda, const std::byte* panel, int64_t, int64_t depth, float* c,
                   int64_t ldc, int64_t rows, bool, const std::byte*) {
    quant_kernels().gemm_int8(static_cast<const std::byte*>(a), lda, panel, depth, c, ldc, rows);
}

void multiply_int4(const Kernels&, const void* a, int64_t lda, const std::byte* panel, int64_t, int64_t depth, float* c,
                   int64_t ldc, int64_t rows, bool, const std::byte*) {
    quant_kernels().gemm_int4(static_cast<const std::byte*>(a), lda, panel, depth, c, ldc, rows);
}

void multiply_f32_f16(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t,
                      int64_t depth, float* c, int64_t ldc, int64_t rows, bool, const std::byte*) {
    multiply_expanded(kernels, a, lda, depth, c, ldc, rows, [&](int64_t begin, int64_t count, float* out) {
        quant_kernels().expand_f16(reinterpret_cast<const uint16_t*>(panel) + begin * kPanel, count * kPanel, out);
    });
}

void multiply_f32_int8(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t,
                       int64_t depth, float* c, int64_t ldc, int64_t rows, bool, const std::byte*) {
    multiply_f32_quantised<8>(kernels, a, lda, panel, depth, c, ldc, rows);
}

void multiply_f32_int4(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t,
                       int64_t depth, float* c, int64_t ldc, int64_t rows, bool, const std::byte*) {
    multiply_f32_quantised<4>(kernels, a, lda, panel, depth, c, ldc, rows);
}

std::unique_ptr<ScratchBuffer> quantise_activations(State& state, const Rows& x, int64_t rows,
                                                    const vlm_linear& layer) {
    constexpr int64_t kGrain = 16;  // a few rows are not worth waking a thread
    const int64_t bytes = quant_row_bytes(layer.depth);
    auto memory = std::make_unique<ScratchBuffer>(state.scratch, checked_product(rows, bytes));
    auto* target = memory->as<std::byte>();
    const QuantKernels& kernels = quant_kernels();
    state.pool.parallel_for(0, rows, kGrain, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) kernels.quantise_row(x.row(r), layer.in, layer.depth, target + r * bytes);
    });
    return memory;
}

}  // namespace vlm::cpu
