/** @file grid.cpp
 *  See grid.hpp.
 */
#include "grid.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace vlm::projector {
namespace {

bool is_global(const vlm_token_block& block) {
    return (block.flags & VLM_BLOCK_FLAG_GLOBAL) != 0;
}

void require_divisible(const vlm_token_block& block, int32_t factor) {
    if (block.kind != VLM_BLOCK_GRID || (block.flags & VLM_BLOCK_FLAG_ROW_END) != 0)
        throw sdk::invalid_argument(
            "merging neighbours needs plain grids of patches; drop class tokens and newlines before");
    if (block.rows % factor != 0 || block.columns % factor != 0)
        throw sdk::invalid_argument("a grid of " + std::to_string(block.rows) + " x " + std::to_string(block.columns) +
                                    " patches cannot be merged by " + std::to_string(factor) + " x " +
                                    std::to_string(factor));
}

}  // namespace

std::vector<int32_t> merge_rows(const sdk::Layout& layout, int32_t factor, MergeOrder order) {
    std::vector<int32_t> rows;
    rows.reserve(static_cast<size_t>(layout.tokens()));
    for (const auto& block : layout.blocks()) {
        require_divisible(block, factor);
        const auto first = static_cast<int32_t>(block.first);
        if (order == MergeOrder::consecutive) {
            for (int32_t i = 0; i < block.rows * block.columns; ++i) rows.push_back(first + i);
            continue;
        }
        for (int32_t r = 0; r < block.rows; r += factor)
            for (int32_t c = 0; c < block.columns; c += factor)
                for (int32_t y = 0; y < factor; ++y)
                    for (int32_t x = 0; x < factor; ++x) rows.push_back(first + (r + y) * block.columns + c + x);
    }
    return rows;
}

sdk::Layout merged_layout(const sdk::Layout& layout, int32_t factor) {
    sdk::Layout merged;
    for (const auto& block : layout.blocks()) {
        require_divisible(block, factor);
        merged.grid(block.rows / factor, block.columns / factor, block.flags,
                    {block.region[0], block.region[1], block.region[2], block.region[3]}, block.tile_row,
                    block.tile_column);
    }
    return merged;
}

JoinedGrid join_tiles(const sdk::Layout& layout, int32_t width, int32_t height) {
    int32_t tile_rows = 0;
    int32_t tile_columns = 0;
    int32_t rows = 0;
    int32_t columns = 0;
    for (const auto& block : layout.blocks()) {
        if (is_global(block)) continue;
        tile_rows = std::max(tile_rows, block.tile_row + 1);
        tile_columns = std::max(tile_columns, block.tile_column + 1);
        rows = block.rows;
        columns = block.columns;
    }
    JoinedGrid joined{tile_rows * rows, tile_columns * columns, {}, tile_rows > 0};
    if (joined.rows == 0 || joined.columns == 0) return joined;
    std::vector<int32_t> cells(static_cast<size_t>(joined.rows) * static_cast<size_t>(joined.columns), -1);
    for (const auto& block : layout.blocks()) {
        if (is_global(block)) continue;
        if (block.kind != VLM_BLOCK_GRID || block.rows != rows || block.columns != columns)
            throw sdk::invalid_argument("tiles of different sizes cannot be joined to one grid");
        for (int32_t r = 0; r < rows; ++r)
            for (int32_t c = 0; c < columns; ++c)
                cells[static_cast<size_t>(block.tile_row * rows + r) * static_cast<size_t>(joined.columns) +
                      static_cast<size_t>(block.tile_column * columns + c)] =
                    static_cast<int32_t>(block.first) + r * columns + c;
    }

    // The image was fitted into the tiles and padded on two sides; its aspect ratio says which and how much. The
    // reference rounds to seven digits before it truncates.
    const auto scaled = [](double size, double scale) {
        constexpr double kDigits = 1e7;
        return static_cast<int32_t>(std::nearbyint(size * scale * kDigits) / kDigits);
    };
    int32_t top = 0;
    int32_t left = 0;
    if (static_cast<double>(width) / height > static_cast<double>(joined.columns) / joined.rows)
        top = (joined.rows - scaled(height, static_cast<double>(joined.columns) / width)) / 2;
    else
        left = (joined.columns - scaled(width, static_cast<double>(joined.rows) / height)) / 2;
    const int32_t all_columns = joined.columns;
    const int32_t all_rows = joined.rows;
    joined.rows -= 2 * top;
    joined.columns -= 2 * left;
    for (int32_t r = top; r < all_rows - top; ++r)
        for (int32_t c = left; c < all_columns - left; ++c)
            joined.source.push_back(
                cells[static_cast<size_t>(r) * static_cast<size_t>(all_columns) + static_cast<size_t>(c)]);
    return joined;
}

}  // namespace vlm::projector
