/** @file patches.hpp
 *  Where a visual token lies on its image, and what is printed there.
 *
 *  Layouts say it for every encoder, so pictures of reductions and the protection of print need to know none of them.
 */
#pragma once
#include <cstdint>
#include <vector>

#include "host/image/draw.hpp"
#include "host/image/image.hpp"
#include "host/pipeline/layout.hpp"

namespace vlm {

/** The pixels of an image that one position of its layout shows. */
struct Patch {
    int64_t position = 0;
    bool global = false;  ///< Of the view of the whole image beside tiles.
    PixelBox box;         ///< At least one pixel, inside the image.
};

/** The patches of a layout on an image of `width` x `height` pixels. Latents and special tokens have no place and are
 * left out. */
std::vector<Patch> patches_of(const TokenLayout& layout, int width, int height);

/** For each position of `layout` the part of its pixels (0 to 1) that stand on a strong edge: brightness changes by
 * more than a quarter of the range from one neighbour to the other, as at the rim of printed strokes. 0 for positions
 * without a place. */
std::vector<float> edge_shares(const Image& image, const TokenLayout& layout);

}  // namespace vlm
