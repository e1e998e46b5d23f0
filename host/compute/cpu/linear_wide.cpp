/** @file linear_wide.cpp
 *  Blocks of gemm_wide. A piece of a panel, 512 depths (16 KB), is recoded and stays in the first-level cache while up
 * to 640 rows pass by, so that recoding is a few hundredths of the work; the codes that come next are fetched
 * meanwhile. Of a block the sums (160 KB) and the activations of one step of depth (320 KB) lie in the second-level
 * cache.
 */
#include "host/compute/cpu/linear_wide.hpp"

#include "host/compute/cpu/linear_blocks.hpp"
#include "host/compute/cpu/quant.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kDepthBlock = 512;
static_assert(kDepthBlock % kWideGroup == 0);
static_assert(kWideMinRows > kExactRows);
/** Rows of a block are a multiple of the height of the largest tile. */
constexpr BlockCut kCut = {640, 14, 2, kDepthBlock, 0};

}  // namespace

bool takes_wide_groups(Precision mode, WeightType type, int64_t rows) {
    return mode == Precision::bf16 && is_quantised(type) && rows >= kWideMinRows &&
           quant_kernels().gemm_wide != nullptr;
}

void run_wide_blocks(State& state, const vlm_linear& layer, const Rows& x, int64_t rows, bool gated,
                     const FinishBlock& finish) {
    const QuantKernels& kernels = quant_kernels();
    const int64_t lda = wide_row_bytes(layer.depth);
    const ScratchBuffer quantised(state.scratch, checked_product(rows, lda));
    auto* a = quantised.as<std::byte>();
    state.pool.parallel_for(0, rows, 16, [&](int64_t begin, int64_t end) {
        for (int64_t r = begin; r < end; ++r) kernels.quantise_wide_row(x.row(r), layer.in, layer.depth, a + r * lda);
    });
    const QuantLayout layout = QuantLayout::of(quant_bits(layer.type), layer.depth);
    const auto multiply = [&](const BlockStep& step) {
        alignas(64) uint8_t codes[kDepthBlock * kPanel];
        alignas(64) float scales[kDepthBlock / kWideGroup * kPanel];
        if (step.begin == 0) step.clear();
        WideProduct product{};
        product.a = a + step.row * lda;
        product.lda = lda;
        product.row_depth = layer.depth;
        product.begin = step.begin;
        product.depth = step.depth;
        product.codes = codes;
        product.scales = scales;
        product.c = step.c;
        product.ldc = step.ldc;
        product.rows = step.rows;
        layout.set_ahead(product, step.next_panel, step.next_begin, step.depth);
        kernels.recode(step.panel, layout, step.begin, step.depth, false, codes, scales);
        kernels.gemm_wide(product);
    };
    walk_blocks(
        state, layer, rows, gated, kCut, finish, [&]() -> const auto& { return multiply; });
}

}  // namespace vlm::cpu
