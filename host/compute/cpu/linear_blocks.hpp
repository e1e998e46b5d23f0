/** @file linear_blocks.hpp
 *  The walk over the blocks of a layer that multiplies many rows, whatever multiplies them: tiles (linear_amx.cpp) or
 * vectors (linear_wide.cpp). The output is cut into blocks of rows by a few panels. In a block the depth runs in steps,
 * so that the part of a panel that one step reads stays in the first-level cache while all rows pass by, and the sums
 * and one step's activations in the second level. Blocks that share panels follow each other, and every step is told
 * what is read after it, so that weights come from memory once and in time.
 *
 *  The cut depends on shapes only, never on the number of threads.
 */
#pragma once
#include <algorithm>

#include "host/compute/cpu/linear.hpp"
#include "host/compute/cpu/scratch.hpp"
#include "host/compute/cpu/state.hpp"

namespace vlm::cpu {

/** How a layer is cut into blocks. */
struct BlockCut {
    int64_t most_rows;  ///< Rows of a block at the most; they are shared out evenly.
    int64_t row_step;   ///< Rows of a block are a multiple of this.
    int64_t panels;     ///< Panels of a block, both halves of a gated layer counted. Even.
    int64_t depth;      ///< Depth of a step.
    int64_t gap;        ///< Floats between the rows of the sums: a cache line keeps many rows from meeting in few sets.
};

/** One step: `c[rows][32] += rows [row, row + rows) times depths [begin, begin + depth) of panel`. With `begin` 0 the
 * sums are begun. */
struct BlockStep {
    int64_t row, rows;
    const std::byte* panel;
    int64_t begin, depth;
    float* c;
    int64_t ldc;
    const std::byte* next_panel;  ///< What the next step reads, from depth `next_begin` on; NULL: not known.
    int64_t next_begin;

    /** Sets the sums to zero, for products that only add. */
    void clear() const {
        for (int64_t r = 0; r < rows; ++r) std::fill_n(c + r * ldc, kPanel, 0.0f);
    }
};

/** Multiplies rows [0, rows) with all panels and calls `finish` once for every block of the output, on the threads of
 * the pool. `make_product()` is called on each of them and makes what is then called with every BlockStep; sums have
 * room for the rows of a block, a multiple of `row_step`. */
template <class MakeProduct>
void walk_blocks(State& state, const vlm_linear& layer, int64_t rows, bool gated, const BlockCut& cut,
                 const FinishBlock& finish, MakeProduct&& make_product) {
    const int64_t halves = gated ? 2 : 1, group = cut.panels / halves;
    const int64_t panels = (gated ? 1 : layer.segments) * layer.segment_panels;
    const int64_t groups = (panels + group - 1) / group;
    const int64_t even = (rows + cut.most_rows - 1) / cut.most_rows;
    const int64_t block = round_up((rows + even - 1) / even, cut.row_step);
    const int64_t row_blocks = (rows + block - 1) / block, items = groups * row_blocks;
    state.pool.parallel_for(0, items, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer sums(state.scratch, checked_product(block, cut.panels * kPanel + cut.gap, 4));
        auto&& product = make_product();
        for (int64_t item = begin; item < end; ++item) {
            const int64_t panel = item / row_blocks * group, width = std::min(group, panels - panel);
            const int64_t row = item % row_blocks * block, count = std::min(block, rows - row);
            const int64_t columns = halves * width, ldc = columns * kPanel + cut.gap;
            const auto panel_of = [&](int64_t column) {
                return layer.panel(panel + column % width + column / width * layer.segment_panels);
            };
            for (int64_t k = 0; k < layer.depth; k += cut.depth)
                for (int64_t c = 0; c < columns; ++c) {
                    BlockStep step{};
                    step.row = row;
                    step.rows = count;
                    step.panel = panel_of(c);
                    step.begin = k;
                    step.depth = std::min(cut.depth, layer.depth - k);
                    step.c = sums.as<float>() + c * kPanel;
                    step.ldc = ldc;
                    if (c + 1 < columns) {
                        step.next_panel = panel_of(c + 1);
                        step.next_begin = k;
                    } else if (k + cut.depth < layer.depth) {
                        step.next_panel = panel_of(0);
                        step.next_begin = k + cut.depth;
                    } else if (item + 1 < items) {
                        step.next_panel = layer.panel((item + 1) / row_blocks * group);
                    }
                    product(step);
                }
            finish(row, count, panel, width, sums.as<float>(), ldc, width * kPanel);
        }
    });
}

}  // namespace vlm::cpu
