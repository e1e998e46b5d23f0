/** @file pages.cpp
 *  See pages.hpp.
 */
#include "host/pipeline/pages.hpp"

#include <algorithm>

#include "host/image/process.hpp"
#include "host/image/rows.hpp"

namespace vlm {
namespace {

/** Upright box around the corners of a row. */
std::array<float, 4> bounds(const Row& row) {
    const auto [left, right] = std::minmax_element(row.corners.begin(), row.corners.end(),
                                                   [](const PointF& a, const PointF& b) { return a.x < b.x; });
    const auto [top, bottom] = std::minmax_element(row.corners.begin(), row.corners.end(),
                                                   [](const PointF& a, const PointF& b) { return a.y < b.y; });
    return {left->x, top->y, right->x, bottom->y};
}

}  // namespace

std::vector<PagePart> split_pages(const std::vector<NamedImage>& pages, const ImageManifest& options) {
    std::vector<PagePart> parts;
    for (size_t i = 0; i < pages.size(); ++i) {
        const auto& page = pages[i];
        if (!options.split_rows) {
            parts.push_back({page,
                             static_cast<int>(i),
                             {0, 0, static_cast<float>(page.image.width), static_cast<float>(page.image.height)}});
            continue;
        }
        const LevelPage level = level_page(page.image, options.rows);
        for (const Row& row : segment_rows(level, options.rows)) {
            const Image cut = crop_row(level, row.box, options.rows);
            parts.push_back({{page.name, options.mark_positions ? mark_positions(cut) : to_rgb(cut)},
                             static_cast<int>(i),
                             bounds(row)});
        }
    }
    return parts;
}

}  // namespace vlm
