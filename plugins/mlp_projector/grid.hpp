/** @file grid.hpp
 *  Geometry of visual tokens: merging neighbours, joining tiles, taking the padding off again.
 */
#pragma once
#include <cstdint>
#include <vector>

#include "vlm/sdk/layout.hpp"

namespace vlm::projector {

/** Order of the rows that one merged token is made of. */
enum class MergeOrder {
    raster,       ///< The input is a grid in raster order; a token takes `factor` x `factor` neighbours, row by row.
    consecutive,  ///< The input comes in merge order already (Qwen2-VL): a token takes `factor * factor` rows in a row.
};

/** Input row of each part of each merged token: `tokens * factor * factor` entries. Throws INVALID_ARGUMENT when a grid
 * cannot be divided by `factor`, or for blocks that are no grids. */
std::vector<int32_t> merge_rows(const sdk::Layout& layout, int32_t factor, MergeOrder order);

/** The layout after merging. */
sdk::Layout merged_layout(const sdk::Layout& layout, int32_t factor);

/** Tiles of one image joined to a large grid whose padding was cut off (LLaVA-NeXT "anyres"). */
struct JoinedGrid {
    int32_t rows = 0;
    int32_t columns = 0;
    std::vector<int32_t> source;  ///< Input row of each cell, raster order.
    bool tiles = false;           ///< There were tiles to join.
};

/** Joins the tiles (blocks that are not GLOBAL) and removes what the aspect ratio of the `width` x `height` image says
 * is padding; `unpad_image` of transformers' modeling_llava_next.py. */
JoinedGrid join_tiles(const sdk::Layout& layout, int32_t width, int32_t height);

}  // namespace vlm::projector
