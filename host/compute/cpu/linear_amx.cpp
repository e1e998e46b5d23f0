/** @file linear_amx.cpp
 *  The blocks around the tile kernels. Of a block of 256 rows by four panels the sums (128 KB), the activations of one
 * step of depth (256 KB) and the panels lie in the second-level cache of any processor with AMX (2 MB); the part of a
 * panel that one step reads (32 KB) stays in the first level while all rows pass by, and the part that comes next is
 * fetched meanwhile. Blocks that share panels follow each other, so that weights come from memory once.
 */
#include "host/compute/cpu/linear_amx.hpp"

#include <algorithm>

namespace vlm::cpu {

namespace {

constexpr int64_t kMinRows = 32;
constexpr int64_t kRowBlock = 256;
constexpr int64_t kPanels = 4;
constexpr int64_t kDepthBlock = 512;

int64_t round_up(int64_t value, int64_t step) {
    return (value + step - 1) / step * step;
}

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
    if (dense == DenseEngine::onednn || mode != Precision::bf16 || type != WeightType::bf16 || rows < kMinRows)
        return nullptr;
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
    const int64_t even = (rows + kRowBlock - 1) / kRowBlock;
    const int64_t block = round_up((rows + even - 1) / even, 2 * kTileRows);
    const int64_t row_blocks = (rows + block - 1) / block;
    state.pool.parallel_for(0, groups * row_blocks, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer memory(state.scratch, block * kPanels * kPanel * 4);
        const AmxScope scope(&amx);
        for (int64_t item = begin; item < end; ++item) {
            const int64_t panel = item / row_blocks * group, width = std::min(group, panels - panel);
            const int64_t row = item % row_blocks * block, count = std::min(block, rows - row);
            const int64_t columns = halves * width, ldc = columns * kPanel;
            const auto part = [&](int64_t column, int64_t k) {
                const int64_t index = panel + column % width + column / width * layer.segment_panels;
                return reinterpret_cast<const uint16_t*>(layer.panel(index)) + k * kPanel;
            };
            for (int64_t k = 0; k < layer.depth; k += kDepthBlock)
                for (int64_t c = 0; c < columns; ++c) {
                    const bool last = c + 1 == columns;
                    TileProductBf16 product{};
                    product.a = a + row / kTileRows * row_tile + k * kTileRows;
                    product.row_tile_stride = row_tile;
                    product.panel = part(c, k);
                    product.depth = std::min(kDepthBlock, layer.depth - k);
                    product.c = memory.as<float>() + c * kPanel;
                    product.ldc = ldc;
                    product.rows = count;
                    product.accumulate = k > 0;
                    if (!last) product.ahead = part(c + 1, k);
                    if (last && k + kDepthBlock < layer.depth) product.ahead = part(0, k + kDepthBlock);
                    amx.gemm_bf16(product);
                }
            finish(row, count, panel, width, memory.as<float>(), ldc, width * kPanel);
        }
    });
}

}  // namespace vlm::cpu
