/** @file attention_picture.hpp
 *  Attention drawn on the page: how much of the weight each pixel's tokens got.
 *
 *  A token's weight is spread evenly over the part of the page that it shows, so that small tiles and a view of the
 * whole page can be added up: the colour is weight per area. Rows that were cut from a page are put back with their
 * slope and their shortened blanks.
 */
#pragma once
#include <span>
#include <string>
#include <vector>

#include "host/image/image.hpp"
#include "host/pipeline/attention.hpp"
#include "host/pipeline/pages.hpp"

namespace vlm {

/** Weight per area on a page: 1 everywhere when the weight of one image were spread evenly. */
struct PageHeat {
    int width = 0;
    int height = 0;
    std::vector<float> values;  ///< `[height, width]`
    /** Pixel with the largest value: the middle of the region around the first such pixel. */
    PointF peak() const;
};

/** Adds the weights of one image, by position of its layout, to the heat of its page. A part of a page that was cut out
 * goes back to its place. Returns false when no position has a place on the page (latents of a resampler). */
bool add_heat(PageHeat& heat, const PagePart& part, const TokenLayout& layout, std::span<const float> weights,
              const RowOptions& rows);

/** The page with the heat laid over it and a legend below: colours from 0 to `largest`. */
Image draw_heat(const Image& page, const PageHeat& heat, const std::string& title);

/** A block of attention as a picture: queries downwards, keys to the right, with a legend. Large blocks are shrunk by
 * taking the largest weight of each cell. */
Image draw_block(const AttentionBlock& block);

}  // namespace vlm
