/** @file positions.cpp
 *  See positions.hpp.
 */
#include "positions.hpp"

#include <algorithm>

namespace vlm::vit {

std::vector<int32_t> grid_positions(const Grid& grid, int32_t merge) {
    std::vector<int32_t> rows, columns;
    for (int32_t by = 0; by < grid.rows; by += merge)
        for (int32_t bx = 0; bx < grid.columns; bx += merge)
            for (int32_t y = by; y < by + merge; ++y)
                for (int32_t x = bx; x < bx + merge; ++x) {
                    rows.push_back(y);
                    columns.push_back(x);
                }
    rows.insert(rows.end(), columns.begin(), columns.end());
    return rows;
}

Windows make_windows(const Grid& grid, int32_t merge, int32_t side) {
    Windows w;
    const int32_t rows = grid.rows / merge, columns = grid.columns / merge, unit = merge * merge;
    for (int32_t top = 0; top < rows; top += side)
        for (int32_t left = 0; left < columns; left += side) {
            const auto begin = static_cast<int32_t>(w.order.size());
            for (int32_t y = top; y < std::min(rows, top + side); ++y)
                for (int32_t x = left; x < std::min(columns, left + side); ++x)
                    for (int32_t i = 0; i < unit; ++i) w.order.push_back((y * columns + x) * unit + i);
            const auto end = static_cast<int32_t>(w.order.size());
            w.begin.insert(w.begin.end(), static_cast<size_t>(end - begin), begin);
            w.end.insert(w.end.end(), static_cast<size_t>(end - begin), end);
        }
    return w;
}

std::vector<int32_t> fraction_buckets(const Grid& grid, int32_t side) {
    // float32 throughout, as the reference: a patch near a boundary must fall on the same side of it.
    std::vector<float> boundaries;
    const double step = 1.0 / side;
    for (int32_t i = 0; i + 1 < side; ++i) boundaries.push_back(static_cast<float>(step + i * step));
    const auto buckets = [&](int32_t count) {
        std::vector<int32_t> out;
        const float unit = 1.0F / static_cast<float>(count);
        for (int32_t i = 0; i < count; ++i) {
            const float at = std::min(static_cast<float>(i) * unit, static_cast<float>(1.0 - 1e-6));
            out.push_back(
                static_cast<int32_t>(std::upper_bound(boundaries.begin(), boundaries.end(), at) - boundaries.begin()));
        }
        return out;
    };
    const auto rows = buckets(grid.rows), columns = buckets(grid.columns);
    std::vector<int32_t> ids;
    for (const int32_t row : rows)
        for (const int32_t column : columns) ids.push_back(row * side + column);
    return ids;
}

}  // namespace vlm::vit
