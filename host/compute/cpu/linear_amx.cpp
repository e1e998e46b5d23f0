/** @file linear_amx.cpp
 *  The blocks around the tile kernels. Of a block of 256 rows by four panels the sums (128 KB), the activations of one
 * step of depth (256 KB) and the panels lie in the second-level cache of any processor with AMX (2 MB); the part of a
 * panel that one step reads (32 KB) stays in the first level while all rows pass by, and the part that comes next is
 * fetched meanwhile. Blocks that share panels follow each other, so that weights come from memory once.
 *
 *  Quantised weights are expanded to bf16 in such parts, just before they are multiplied: with several hundred rows to
 * a block that is a quarter of the work at the most, tiles make up for it several times against bytes without tiles
 * (by the rates of the instructions; not measured), and activations keep the precision of bf16. (The int8 tiles cannot
 * take them: every 32 depths have a scale of their own, and tiles sum 64.)
 */
#include "host/compute/cpu/linear_amx.hpp"

#include <algorithm>

#include "host/compute/cpu/quant.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kMinRows = 32;
constexpr int64_t kRowBlock = 256;
constexpr int64_t kPanels = 4;
constexpr int64_t kDepthBlock = 512;
/** Rows of a block of quantised weights: more, because each block expands its panels anew. Sums of 256 KB. */
constexpr int64_t kExpandedRowBlock = 512;
static_assert(kDepthBlock % kQuantDepth == 0);

/** Rounds 16 rows to bf16 and lays them out tile by tile; rows behind the end become zeros. */
void pack_rows(const Kernels& kernels, const vlm_linear& layer, const Rows& x, int64_t row, int64_t rows,
               uint16_t* rounded, uint16_t* tiles) {
    for (int64_t r = 0; r < kTileRows; ++r) {
        int64_t filled = 0;
        if (row + r < rows) {
            kernels.to_bf16(x.row(row + r), rounded, layer.in);
            filled = layer.in;
        }
        std::fill(rounded + filled, rounded + layer.depth, uint16_t{0});
        for (int64_t k = 0; k < layer.depth; k += kTileDepthBf16)
            std::copy_n(rounded + k, kTileDepthBf16, tiles + k * kTileRows + r * kTileDepthBf16);
    }
}

}  // namespace

const AmxKernels* amx_for(DenseEngine dense, Precision mode, WeightType type, int64_t rows) {
    if (dense == DenseEngine::onednn || mode != Precision::bf16 || rows < kMinRows) return nullptr;
    if (type != WeightType::bf16 && !is_quantised(type)) return nullptr;
    return amx_kernels();
}

void run_amx_blocks(State& state, const AmxKernels& amx, const vlm_linear& layer, const Rows& x, int64_t rows,
                    bool gated, const FinishBlock& finish) {
    const int64_t row_tiles = (rows + kTileRows - 1) / kTileRows, row_tile = kTileRows * layer.depth;
    const ScratchBuffer packed(state.scratch, checked_product(row_tiles, row_tile, 2));
    auto* a = packed.as<uint16_t>();
    state.pool.parallel_for(0, row_tiles, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer rounded(state.scratch, layer.depth * 2);
        for (int64_t t = begin; t < end; ++t)
            pack_rows(kernels(), layer, x, t * kTileRows, rows, rounded.as<uint16_t>(), a + t * row_tile);
    });
    const int64_t halves = gated ? 2 : 1, group = kPanels / halves;
    const int64_t panels = (gated ? 1 : layer.segments) * layer.segment_panels;
    const int64_t groups = (panels + group - 1) / group;
    const bool quantised = is_quantised(layer.type);
    const QuantLayout codes = QuantLayout::of(quantised ? quant_bits(layer.type) : 8, layer.depth);
    const int64_t most = quantised ? kExpandedRowBlock : kRowBlock;
    const int64_t even = (rows + most - 1) / most;
    const int64_t block = round_up((rows + even - 1) / even, 2 * kTileRows);
    const int64_t row_blocks = (rows + block - 1) / block;
    state.pool.parallel_for(0, groups * row_blocks, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer memory(state.scratch, block * kPanels * kPanel * 4);
        const ScratchBuffer expanded(state.scratch, quantised ? kDepthBlock * kPanel * 2 : 0);
        const AmxScope scope(&amx);
        for (int64_t item = begin; item < end; ++item) {
            const int64_t panel = item / row_blocks * group, width = std::min(group, panels - panel);
            const int64_t row = item % row_blocks * block, count = std::min(block, rows - row);
            const int64_t columns = halves * width, ldc = columns * kPanel;
            const auto panel_of = [&](int64_t column) {
                return layer.panel(panel + column % width + column / width * layer.segment_panels);
            };
            const auto part = [&](int64_t column, int64_t k) {
                return reinterpret_cast<const uint16_t*>(panel_of(column)) + k * kPanel;
            };
            for (int64_t k = 0; k < layer.depth; k += kDepthBlock)
                for (int64_t c = 0; c < columns; ++c) {
                    const bool last = c + 1 == columns;
                    TileProductBf16 product{};
                    product.a = a + row / kTileRows * row_tile + k * kTileRows;
                    product.row_tile_stride = row_tile;
                    product.depth = std::min(kDepthBlock, layer.depth - k);
                    if (quantised) {
                        product.panel = expanded.as<uint16_t>();
                        quant_kernels().expand_bf16(panel_of(c), codes, k, product.depth, expanded.as<uint16_t>());
                    } else {
                        product.panel = part(c, k);
                    }
                    product.c = memory.as<float>() + c * kPanel;
                    product.ldc = ldc;
                    product.rows = count;
                    product.accumulate = k > 0;
                    if (!last && !quantised) product.ahead = part(c + 1, k);
                    if (last && !quantised && k + kDepthBlock < layer.depth) product.ahead = part(0, k + kDepthBlock);
                    amx.gemm_bf16(product);
                }
            finish(row, count, panel, width, memory.as<float>(), ldc, width * kPanel);
        }
    });
}

}  // namespace vlm::cpu
