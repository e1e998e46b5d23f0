/** @file positions.hpp
 *  Where patches are: order, rotary positions, windows and the buckets of fractional positions. Plain integer
 * arithmetic on the host, once per call; none of it touches a tensor of the device.
 */
#pragma once
#include <cstdint>
#include <vector>

#include "config.hpp"

namespace vlm::vit {

/** Patches of one view. */
struct Grid {
    int32_t rows = 0;
    int32_t columns = 0;
    int64_t patches() const { return int64_t{rows} * columns; }
};

/** Row and column of each patch, in the order of the tower (raster, or blocks of `merge` x `merge`): `[2, patches]`. */
std::vector<int32_t> grid_positions(const Grid& grid, int32_t merge);

/** How a view is cut into attention windows (Qwen2.5-VL, `get_vision_window_index`). */
struct Windows {
    std::vector<int32_t> order;  ///< Patch (in the tower's order) that stands at each place.
    std::vector<int32_t> begin;  ///< First place of the window of each place.
    std::vector<int32_t> end;    ///< One behind its last place.
};

/** Windows of `side` x `side` blocks. */
Windows make_windows(const Grid& grid, int32_t merge, int32_t side);

/** Rows of a position table of `side` x `side` for each patch by its fraction of the view (Idefics2VisionEmbeddings).
 */
std::vector<int32_t> fraction_buckets(const Grid& grid, int32_t side);

}  // namespace vlm::vit
