/** @file patches.cpp
 *  See patches.hpp.
 */
#include "host/pipeline/patches.hpp"

#include <algorithm>
#include <cmath>
#include <cstdlib>

#include "host/image/process.hpp"

namespace vlm {
namespace {

/** First pixel of part `part` of `parts` of a stretch that begins and ends at the given shares of `size`. */
int edge_of(float begin, float end, int part, int parts, int size) {
    const double at = begin + (static_cast<double>(end) - begin) * part / parts;
    return static_cast<int>(std::lround(std::clamp(at, 0.0, 1.0) * size));
}

}  // namespace

std::vector<Patch> patches_of(const TokenLayout& layout, int width, int height) {
    std::vector<Patch> patches;
    for (const auto& block : layout.blocks()) {
        const auto& r = block.region;
        if (block.kind != VLM_BLOCK_GRID || !(r[2] > r[0]) || !(r[3] > r[1])) continue;
        const int64_t row_tokens = block.columns + ((block.flags & VLM_BLOCK_FLAG_ROW_END) != 0 ? 1 : 0);
        for (int y = 0; y < block.rows; ++y)
            for (int x = 0; x < block.columns; ++x) {
                Patch patch;
                patch.position = block.first + y * row_tokens + x;
                patch.global = (block.flags & VLM_BLOCK_FLAG_GLOBAL) != 0;
                patch.box = {edge_of(r[0], r[2], x, block.columns, width), edge_of(r[1], r[3], y, block.rows, height),
                             edge_of(r[0], r[2], x + 1, block.columns, width),
                             edge_of(r[1], r[3], y + 1, block.rows, height)};
                // A patch of an image that was enlarged may be less than a pixel wide.
                patch.box.left = std::clamp(patch.box.left, 0, width - 1);
                patch.box.top = std::clamp(patch.box.top, 0, height - 1);
                patch.box.right = std::max(patch.box.right, patch.box.left + 1);
                patch.box.bottom = std::max(patch.box.bottom, patch.box.top + 1);
                patches.push_back(patch);
            }
    }
    return patches;
}

std::vector<float> edge_shares(const Image& image, const TokenLayout& layout) {
    constexpr int kStrong = 64;  // of 255
    const Image gray = to_gray(image);
    std::vector<uint8_t> strong(gray.pixels.size(), 0);
    for (int y = 0; y < gray.height; ++y) {
        const uint8_t* above = gray.row(std::max(0, y - 1));
        const uint8_t* here = gray.row(y);
        const uint8_t* below = gray.row(std::min(gray.height - 1, y + 1));
        for (int x = 0; x < gray.width; ++x) {
            const int across = std::abs(here[std::min(gray.width - 1, x + 1)] - here[std::max(0, x - 1)]);
            const int down = std::abs(below[x] - above[x]);
            strong[static_cast<size_t>(y) * static_cast<size_t>(gray.width) + static_cast<size_t>(x)] =
                std::max(across, down) > kStrong ? 1 : 0;
        }
    }
    std::vector<float> shares(static_cast<size_t>(layout.tokens()), 0.F);
    for (const auto& patch : patches_of(layout, gray.width, gray.height)) {
        int64_t count = 0;
        for (int y = patch.box.top; y < patch.box.bottom; ++y)
            for (int x = patch.box.left; x < patch.box.right; ++x)
                count += strong[static_cast<size_t>(y) * static_cast<size_t>(gray.width) + static_cast<size_t>(x)];
        const int64_t pixels = int64_t{patch.box.right - patch.box.left} * (patch.box.bottom - patch.box.top);
        shares[static_cast<size_t>(patch.position)] = static_cast<float>(count) / static_cast<float>(pixels);
    }
    return shares;
}

}  // namespace vlm
