/** @file attention_picture.cpp
 *  See attention_picture.hpp.
 */
#include "host/pipeline/attention_picture.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "host/estimate/plot.hpp"
#include "host/image/draw.hpp"
#include "host/image/process.hpp"
#include "host/image/rows.hpp"

namespace vlm {
namespace {

/** Weight per area at the point (`x`, `y`) of an image, in shares of its sides. */
float heat_at(const TokenLayout& layout, std::span<const float> weights, float x, float y) {
    float sum = 0;
    for (const auto& block : layout.blocks()) {
        const auto& r = block.region;
        if (block.kind != VLM_BLOCK_GRID || !(r[2] > r[0]) || !(r[3] > r[1])) continue;
        if (x < r[0] || x >= r[2] || y < r[1] || y >= r[3]) continue;
        const auto cell = [](float at, float begin, float end, int32_t cells) {
            return std::clamp(static_cast<int32_t>((at - begin) / (end - begin) * static_cast<float>(cells)), 0,
                              cells - 1);
        };
        const int64_t row_tokens = block.columns + ((block.flags & VLM_BLOCK_FLAG_ROW_END) != 0 ? 1 : 0);
        const int64_t position =
            block.first + cell(y, r[1], r[3], block.rows) * row_tokens + cell(x, r[0], r[2], block.columns);
        const float area =
            (r[2] - r[0]) * (r[3] - r[1]) / (static_cast<float>(block.rows) * static_cast<float>(block.columns));
        sum += weights[static_cast<size_t>(position)] / area;
    }
    return sum;
}

std::string number(double value) {
    char text[32];
    std::snprintf(text, sizeof text, value != 0 && value < 0.01 ? "%.1e" : "%.3f", value);
    return text;
}

/** `picture` with a bar of the colours below it: 0 at the left, `largest` at the right. */
Image with_legend(const Image& picture, const std::string& title, double largest) {
    constexpr int kLine = 24, kBar = 16, kEdge = 6;
    const std::string low = "0", high = number(largest);
    const int least =
        std::max(estimate::text_width(title), estimate::text_width(low) + estimate::text_width(high) + 8 * kBar) +
        2 * kEdge;
    Image out = make_image(std::max(picture.width, least), picture.height + 2 * kLine + kEdge, 3, 255);
    for (int y = 0; y < picture.height; ++y)
        std::copy_n(picture.row(y), static_cast<size_t>(picture.width) * 3, out.row(y));
    const int top = picture.height + kEdge;
    estimate::write_text(out, kEdge, top, title);
    const int left = kEdge + estimate::text_width(low), right = out.width - kEdge - estimate::text_width(high);
    estimate::write_text(out, kEdge, top + kLine, low);
    for (int x = left; x < right - kEdge; ++x)
        blend_box(out, {x, top + kLine, x + 1, top + kLine + kBar},
                  heat_color(static_cast<float>(x - left) / static_cast<float>(std::max(1, right - kEdge - left))),
                  1.F);
    estimate::write_text(out, right, top + kLine, high);
    return out;
}

}  // namespace

PointF PageHeat::peak() const {
    if (values.empty()) return {};
    const float largest = *std::max_element(values.begin(), values.end());
    const auto at = [&](int x, int y) {
        return values[static_cast<size_t>(y) * static_cast<size_t>(width) + static_cast<size_t>(x)];
    };
    for (int y = 0; y < height; ++y)
        for (int x = 0; x < width; ++x) {
            if (at(x, y) < largest) continue;
            int right = x, bottom = y;
            while (right < width && at(right, y) == largest) ++right;
            while (bottom < height && at(x, bottom) == largest) ++bottom;
            return {static_cast<float>(x + right) / 2, static_cast<float>(y + bottom) / 2};
        }
    return {};
}

bool add_heat(PageHeat& heat, const PagePart& part, const TokenLayout& layout, std::span<const float> weights,
              const RowOptions& rows) {
    const bool placed = std::any_of(layout.blocks().begin(), layout.blocks().end(), [](const vlm_token_block& block) {
        return block.kind == VLM_BLOCK_GRID && block.region[2] > block.region[0] && block.region[3] > block.region[1];
    });
    if (!placed) return false;
    const auto edge = [](float value, int most) { return std::clamp(static_cast<int>(std::lround(value)), 0, most); };
    PixelBox box{0, 0, heat.width, heat.height};
    std::vector<int> columns;
    if (part.level) {
        // The margins of a row lie outside of its region.
        const float margin = part.region[3] - part.region[1];
        box = {edge(part.region[0] - margin, heat.width), edge(part.region[1] - margin, heat.height),
               edge(part.region[2] + margin, heat.width), edge(part.region[3] + margin, heat.height)};
        columns = row_columns(*part.level, part.box, rows);
    }
    for (int y = box.top; y < box.bottom; ++y)
        for (int x = box.left; x < box.right; ++x) {
            PointF at{(static_cast<float>(x) + 0.5F) / static_cast<float>(heat.width),
                      (static_cast<float>(y) + 0.5F) / static_cast<float>(heat.height)};
            if (part.level) at = in_row(*part.level, part.box, columns, x + 0.5, y + 0.5, rows);
            if (at.x < 0 || at.x >= 1 || at.y < 0 || at.y >= 1) continue;
            heat.values[static_cast<size_t>(y) * static_cast<size_t>(heat.width) + static_cast<size_t>(x)] +=
                heat_at(layout, weights, at.x, at.y);
        }
    return true;
}

Image draw_heat(const Image& page, const PageHeat& heat, const std::string& title) {
    constexpr float kMost = 0.65F;  // of the page is covered where the heat is
    Image out = to_rgb(page);
    const float largest = heat.values.empty() ? 0 : *std::max_element(heat.values.begin(), heat.values.end());
    for (int y = 0; y < heat.height; ++y)
        for (int x = 0; x < heat.width; ++x) {
            const float value =
                heat.values[static_cast<size_t>(y) * static_cast<size_t>(heat.width) + static_cast<size_t>(x)];
            const float share = largest > 0 ? value / largest : 0;
            blend_box(out, {x, y, x + 1, y + 1}, heat_color(share), 0.25F + (kMost - 0.25F) * share);
        }
    return with_legend(out, title, static_cast<double>(largest));
}

Image draw_block(const AttentionBlock& block) {
    constexpr int kLeast = 256, kMost = 1024;
    const int rows = std::clamp(block.rows, 1, kMost), columns = std::clamp(block.columns, 1, kMost);
    std::vector<float> cells(static_cast<size_t>(rows) * static_cast<size_t>(columns), 0.F);
    for (int r = 0; r < block.rows; ++r)
        for (int c = 0; c < block.columns; ++c) {
            const auto row = static_cast<size_t>(int64_t{r} * rows / block.rows);
            const auto column = static_cast<size_t>(int64_t{c} * columns / block.columns);
            float& cell = cells[row * static_cast<size_t>(columns) + column];
            cell = std::max(
                cell,
                block.weights[static_cast<size_t>(r) * static_cast<size_t>(block.columns) + static_cast<size_t>(c)]);
        }
    const int scale = std::max(1, (kLeast + std::max(rows, columns) - 1) / std::max(rows, columns));
    HeatMapOptions options;
    options.opacity = 1;
    options.smooth = false;
    options.high = static_cast<float>(block.max);
    const Image picture =
        overlay_heat_map(make_image(columns * scale, rows * scale, 3, 255), cells, rows, columns, options);
    return with_legend(picture, block.name + " mean " + number(block.mean) + " max " + number(block.max), block.max);
}

}  // namespace vlm
