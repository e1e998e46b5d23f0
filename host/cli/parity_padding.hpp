/** @file parity_padding.hpp
 *  Takes the padding out of reference tensors.
 *
 *  A reference that batches pictures of different sizes pads them to the largest and keeps a mask of the real pixels.
 * This host runs each picture at its own size, so only what the mask shows can be compared.
 */
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace vlm::cli {

/** A mask of real pixels, 1 or 0: `[…, images, height, width]`. */
struct PixelMask {
    std::vector<int64_t> shape;
    std::vector<double> values;
};

/** The elements of `values` that belong to real pixels, in order. `shape` is `[…, images, channels, height, width]` for
 * pixels, or `[images, patches, width]` for rows of patches, which are real when all their pixels are. Tensors that do
 * not fit the mask come back as they are. */
std::vector<double> without_padding(std::vector<double> values, std::span<const int64_t> shape, const PixelMask& mask);

/** The rows of `values` whose entry in `mask` is not 0: a batch of texts without their padding. Values that do not
 * divide into that many rows come back as they are. */
std::vector<double> without_rows(std::vector<double> values, std::span<const double> mask);

}  // namespace vlm::cli
