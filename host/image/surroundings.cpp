/** @file surroundings.cpp
 *  See surroundings.hpp.
 */
#include "host/image/surroundings.hpp"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "host/image/connected_parts.hpp"

namespace vlm::rows {
namespace {

/** Dark areas that reach the edge: 1 for each of their blocks. */
Image dark_edges(const FloatImage& blocks, float paper) {
    constexpr float kDark = 0.4f;  // of the page's paper; hard shadows on the page stay above
    Image dark = make_image(blocks.width, blocks.height, 1), out = dark;
    for (size_t i = 0; i < blocks.pixels.size(); ++i) dark.pixels[i] = blocks.pixels[i] < kDark * paper;
    const auto width = static_cast<size_t>(blocks.width), height = static_cast<size_t>(blocks.height);
    for_each_part(dark, [&](const std::vector<size_t>& part) {
        const bool at_edge = std::any_of(part.begin(), part.end(), [&](size_t at) {
            const size_t x = at % width, y = at / width;
            return x == 0 || y == 0 || x + 1 == width || y + 1 == height;
        });
        if (!at_edge) return;
        for (const size_t at : part) out.pixels[at] = 1;
    });
    return out;
}

/** Grows from dull blocks at the edge over everything that is not suddenly brighter than what it borders on, so that a
 * table in the light is told from paper in the shade. */
Image grow_from_edge(const FloatImage& blocks, float paper) {
    constexpr float kDull = 0.75f;  // of the paper
    constexpr float kStep = 1.25f;  // from table to paper
    constexpr int kAround = 2;      // blocks whose mean is the table's brightness here
    Image grown = make_image(blocks.width, blocks.height, 1);
    std::vector<std::pair<int, int>> found;
    const auto add = [&](int x, int y) {
        grown.row(y)[x] = 1;
        found.emplace_back(x, y);
    };
    const auto value = [&](int x, int y) { return blocks.pixels[size_t(y) * size_t(blocks.width) + size_t(x)]; };
    for (int y = 0; y < blocks.height; ++y) {
        const bool whole_row = y == 0 || y + 1 == blocks.height;
        for (int x = 0; x < blocks.width; x += whole_row ? 1 : std::max(blocks.width - 1, 1))
            if (value(x, y) < kDull * paper) add(x, y);
    }
    const auto brightness = [&](int x, int y) {
        float sum = 0.0f, count = 0.0f;
        for (int by = std::max(y - kAround, 0); by <= std::min(y + kAround, blocks.height - 1); ++by) {
            for (int bx = std::max(x - kAround, 0); bx <= std::min(x + kAround, blocks.width - 1); ++bx) {
                if (!grown.row(by)[bx]) continue;
                sum += value(bx, by);
                count += 1.0f;
            }
        }
        return sum / count;
    };
    for (size_t next = 0; next < found.size(); ++next) {
        const auto [x, y] = found[next];
        for (const auto& [nx, ny] : {std::pair{x - 1, y}, {x + 1, y}, {x, y - 1}, {x, y + 1}}) {
            if (nx < 0 || ny < 0 || nx >= blocks.width || ny >= blocks.height || grown.row(ny)[nx]) continue;
            if (value(nx, ny) < kStep * brightness(nx, ny)) add(nx, ny);
        }
    }
    return grown;
}

/** A table that the page lies on: all blocks but the page's. Nothing where there is no such table. */
std::optional<Image> table_around(const FloatImage& blocks, float paper) {
    constexpr double kEdge = 0.5;   // of the picture's edge is table at least; a dark letterhead is less
    constexpr double kPage = 0.25;  // of the picture is page at least
    const Image grown = grow_from_edge(blocks, paper);
    int edge = 0;
    for (int x = 0; x < blocks.width; ++x) edge += grown.row(0)[x] + grown.row(blocks.height - 1)[x];
    for (int y = 0; y < blocks.height; ++y) edge += grown.row(y)[0] + grown.row(y)[blocks.width - 1];
    if (edge < kEdge * 2 * (blocks.width + blocks.height)) return std::nullopt;
    Image rest = grown;
    for (uint8_t& pixel : rest.pixels) pixel = !pixel;
    std::vector<size_t> page;
    for_each_part(rest, [&](const std::vector<size_t>& part) {
        if (part.size() > page.size()) page = part;
    });
    if (static_cast<double>(page.size()) < kPage * static_cast<double>(blocks.pixels.size())) return std::nullopt;
    Image table = make_image(blocks.width, blocks.height, 1, 1);
    for (const size_t at : page) table.pixels[at] = 0;
    return table;
}

}  // namespace

void whiten_surroundings(const FloatImage& blocks, int block, Image& gray) {
    constexpr double kPaper = 0.9;  // quantile of the blocks that is taken for paper
    std::vector<float> sorted = blocks.pixels;
    const auto paper = sorted.begin() + static_cast<long>(kPaper * static_cast<double>(sorted.size() - 1));
    std::nth_element(sorted.begin(), paper, sorted.end());
    const std::optional<Image> table = table_around(blocks, *paper);
    const Image outside = table ? *table : dark_edges(blocks, *paper);
    // The blocks next to it hold both page and surroundings.
    for (int y = 0; y < gray.height; ++y) {
        uint8_t* row = gray.row(y);
        for (int x = 0; x < gray.width; ++x) {
            bool near = false;
            for (int by = std::max(y / block - 1, 0); by <= std::min(y / block + 1, blocks.height - 1); ++by) {
                for (int bx = std::max(x / block - 1, 0); bx <= std::min(x / block + 1, blocks.width - 1); ++bx) {
                    near = near || outside.row(by)[bx];
                }
            }
            if (near) row[x] = 255;
        }
    }
}

}  // namespace vlm::rows
