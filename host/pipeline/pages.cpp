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
                             {0, 0, static_cast<float>(page.image.width), static_cast<float>(page.image.height)},
                             {},
                             {}});
            continue;
        }
        const auto level = std::make_shared<const LevelPage>(level_page(page.image, options.rows));
        for (const Row& row : segment_rows(*level, options.rows)) {
            PagePart part{{page.name, {}}, static_cast<int>(i), bounds(row), level, row.box};
            part.image = cut_again(part, options, options.rows.margin);
            parts.push_back(std::move(part));
        }
    }
    return parts;
}

NamedImage cut_again(const PagePart& part, const ImageManifest& options, double margin) {
    RowOptions rows = options.rows;
    rows.margin = margin;
    const Image cut = crop_row(*part.level, part.box, rows);
    return {part.image.name, options.mark_positions ? mark_positions(cut) : to_rgb(cut)};
}

}  // namespace vlm
