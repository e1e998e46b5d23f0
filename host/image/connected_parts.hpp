/** @file connected_parts.hpp
 *  Visits the connected parts of a picture of zeros and ones. Internal to host/image: what is letter, grain, blot, rule
 * or table is mostly a question of the part's size and place.
 */
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "host/image/image.hpp"

namespace vlm::rows {

/** Calls `visit(pixels)` with the indices (y * width + x) of each part of the pixels of `ink` [height, width, 1] that
 * are not 0; eight neighbours connect. */
template <typename Visit>
void for_each_part(const Image& ink, Visit visit) {
    std::vector<uint8_t> open(ink.pixels);
    std::vector<size_t> part;
    const auto width = static_cast<size_t>(ink.width);
    for (size_t start = 0; start < open.size(); ++start) {
        if (!open[start]) continue;
        open[start] = 0;
        part.assign(1, start);
        for (size_t next = 0; next < part.size(); ++next) {  // the list of found pixels is its own queue
            const int x = static_cast<int>(part[next] % width), y = static_cast<int>(part[next] / width);
            for (int ny = std::max(y - 1, 0); ny <= std::min(y + 1, ink.height - 1); ++ny) {
                for (int nx = std::max(x - 1, 0); nx <= std::min(x + 1, ink.width - 1); ++nx) {
                    const size_t at = static_cast<size_t>(ny) * width + static_cast<size_t>(nx);
                    if (!open[at]) continue;
                    open[at] = 0;
                    part.push_back(at);
                }
            }
        }
        visit(part);
    }
}

}  // namespace vlm::rows
