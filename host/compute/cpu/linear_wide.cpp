/** @file linear_wide.cpp
 *  The blocks around gemm_wide. A piece of a panel, 512 depths (16 KB), is recoded and stays in the first-level cache
 * while up to 640 rows pass by, so that recoding is a few hundredths of the work; the codes that come next are fetched
 * meanwhile. Of a block the sums (160 KB) and the activations of one step of depth (320 KB) lie in the second-level
 * cache. Blocks that share panels follow each other, so that weights come from memory once.
 */
#include "host/compute/cpu/linear_wide.hpp"

#include <algorithm>

#include "host/compute/cpu/quant.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kRowBlock = 640;
/** Rows of a block are a multiple of this: the height of the largest tile. */
constexpr int64_t kRowStep = 14;
constexpr int64_t kPanels = 2;
constexpr int64_t kDepthBlock = 512;
static_assert(kDepthBlock % kWideGroup == 0);

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
    const int64_t halves = gated ? 2 : 1, group = kPanels / halves;
    const int64_t panels = (gated ? 1 : layer.segments) * layer.segment_panels;
    const int64_t groups = (panels + group - 1) / group;
    const int64_t even = (rows + kRowBlock - 1) / kRowBlock;
    const int64_t block = round_up((rows + even - 1) / even, kRowStep);
    const int64_t row_blocks = (rows + block - 1) / block;
    const int64_t items = groups * row_blocks;
    state.pool.parallel_for(0, items, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer sums(state.scratch, block * kPanels * kPanel * 4);
        alignas(64) uint8_t codes[kDepthBlock * kPanel];
        alignas(64) float scales[kDepthBlock / kWideGroup * kPanel];
        for (int64_t item = begin; item < end; ++item) {
            const int64_t panel = item / row_blocks * group, width = std::min(group, panels - panel);
            const int64_t row = item % row_blocks * block, count = std::min(block, rows - row);
            const int64_t columns = halves * width, ldc = columns * kPanel;
            const auto panel_of = [&](int64_t column) {
                return layer.panel(panel + column % width + column / width * layer.segment_panels);
            };
            const auto codes_of = [&](const std::byte* at, int64_t k) {
                return at + layout.codes() + k / kQuantGroup * layout.group_bytes();
            };
            std::fill_n(sums.as<float>(), count * ldc, 0.0f);
            for (int64_t k = 0; k < layer.depth; k += kDepthBlock)
                for (int64_t c = 0; c < columns; ++c) {
                    WideProduct product{};
                    product.a = a + row * lda;
                    product.lda = lda;
                    product.row_depth = layer.depth;
                    product.begin = k;
                    product.depth = std::min(kDepthBlock, layer.depth - k);
                    product.codes = codes;
                    product.scales = scales;
                    product.c = sums.as<float>() + c * kPanel;
                    product.ldc = ldc;
                    product.rows = count;
                    const bool last = c + 1 == columns, end_of_item = last && k + kDepthBlock >= layer.depth;
                    if (!end_of_item) {
                        product.ahead = codes_of(panel_of(last ? 0 : c + 1), last ? k + kDepthBlock : k);
                    } else if (item + 1 < items) {
                        product.ahead = codes_of(layer.panel((item + 1) / row_blocks * group), 0);
                    }
                    if (product.ahead != nullptr)
                        product.ahead_bytes = product.depth / kQuantGroup * layout.group_bytes();
                    kernels.recode(panel_of(c), layout, k, product.depth, codes, scales);
                    kernels.gemm_wide(product);
                }
            finish(row, count, panel, width, sums.as<float>(), ldc, width * kPanel);
        }
    });
}

}  // namespace vlm::cpu
