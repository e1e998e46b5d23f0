/** @file resize.hpp
 *  Resampling that gives the same bytes as Pillow.
 *
 *  Reference processors resize with Pillow, whose result is defined by its integer arithmetic and not by the filter
 * alone: two separable passes, each rounded to 8 bits, with coefficients normalised in double and rounded to 22-bit
 * fixed point (Pillow, src/libImaging/Resample.c). A resize that is merely "bicubic" moves pixels by up to 11/255 at
 * hard edges, which is visible in logits, so the arithmetic is followed exactly and the kernels only reorder sums of
 * integers, which is exact.
 *
 *  Pillow 13 changed the order of the passes for pictures that lose much more height than width; the order decides
 * where the 8-bit rounding between the passes falls. PassOrder selects it.
 */
#pragma once
#include <optional>

#include "host/image/image.hpp"

namespace vlm {

/** Filters with the numbers that `resample` has in preprocessor_config.json (PIL.Image.Resampling). */
enum class Filter { kNearest = 0, kLanczos = 1, kBilinear = 2, kBicubic = 3, kBox = 4, kHamming = 5 };

/** The filter of that number.
 *  @throws Error INVALID_ARGUMENT for any other number, naming the valid ones. */
Filter filter_from_pil(int number);

/** Which pass comes first. */
enum class PassOrder {
    kPillow13,  ///< Vertical first when the height shrinks by more than twice what the width does, as from Pillow 13
                ///< on.
    kHorizontalFirst,  ///< Always horizontal first, as before Pillow 13.
};

/** Source region in pixels, edges may be fractional. */
struct ResizeBox {
    float left = 0;
    float top = 0;
    float right = 0;
    float bottom = 0;
};

struct ResizeOptions {
    Filter filter = Filter::kBicubic;
    std::optional<ResizeBox> box;  ///< Whole picture when absent.
    PassOrder order = PassOrder::kPillow13;
};

/** Resamples to `width` x `height` pixels, with antialiasing when shrinking (the support grows with the scale).
 *
 *  Equal byte for byte to `PIL.Image.Image.resize((width, height), resample, box)` for modes L, RGB and RGBA; RGBA is
 *  resampled premultiplied, as there. A box that covers exactly `width` x `height` whole pixels is a plain copy.
 *  @throws Error INVALID_ARGUMENT when a side is below 1 or above 2^20, or the box is empty or leaves the picture. */
Image resize(const Image& image, int width, int height, const ResizeOptions& options = {});

/** The same for a float picture (PIL mode F): sums in double, each pass rounded to float. */
FloatImage resize(const FloatImage& image, int width, int height, const ResizeOptions& options = {});

}  // namespace vlm
