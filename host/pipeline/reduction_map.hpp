/** @file reduction_map.hpp
 *  A picture of what reducers did to an image: which patches became one token, and which were dropped.
 */
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "host/image/image.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/pipeline/layout.hpp"

namespace vlm {

/** What became of the positions of one image of a request. */
struct ReducedImage {
    int page = 0;                          ///< Index of the page in the request.
    std::array<float, 4> region{};         ///< Part of the page in pixels; all 0: the whole page.
    int64_t sequence = 0;                  ///< Sequence of the request that has the image,
    int32_t image = 0;                     ///< and its index there.
    TokenLayout layout;                    ///< Of the visual tokens.
    std::vector<int32_t> row_of_position;  ///< Token that each position lives on in, -1: dropped.

    int64_t rows() const;
};

/** Carries what reducers did inside the backbone (`records` of one request) on to its images. Rows of an image stand in
 * a sequence in their own order, as the recipes of all families with merging have it. */
void add_backbone_reductions(std::vector<ReducedImage>& images, const std::vector<ReductionRecord>& records);

/** `page` with the patches of `images` (those that stand on it): patches that share a token have one colour, dropped
 * ones are dark, all others are left as they are.
 *  @throws Error FAILED_PRECONDITION when none of the tokens has a place on the page (latents of a resampler). */
Image draw_reductions(const Image& page, const std::vector<ReducedImage>& images);

}  // namespace vlm
