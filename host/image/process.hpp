/** @file process.hpp
 *  Geometry and arithmetic of vision preprocessing after decoding: convert, crop, pad, rescale, normalise.
 *
 *  Every operation exists because some reference processor has it, and follows that reference to the last bit, odd
 * rounding of offsets included (transformers 5.x, image_transforms.py and the PIL back-end of the processors). The
 * float arithmetic goes through a table of 256 entries per channel: an 8-bit pixel has only 256 values, so the table is
 * both exact, whatever arithmetic the reference uses, and the fastest way.
 */
#pragma once
#include <array>
#include <span>
#include <vector>

#include "host/image/image.hpp"

namespace vlm {

/** A fill colour; the first `channels` entries of the picture in question are used. */
using Color = std::array<uint8_t, 4>;

/** RGB from gray (repeated), RGB (copied) or RGBA (composited on white with the integer arithmetic of PIL
 * alpha_composite, as convert_to_rgb of transformers 5.x does; 4.x dropped the alpha channel instead).
 *  @throws Error INVALID_ARGUMENT for an inconsistent picture (so for all functions here). */
Image to_rgb(const Image& image);

/** RGB from RGBA by leaving transparency out, as convert("RGB") of PIL does; other pictures as to_rgb. */
Image without_alpha(const Image& image);

/** Gray by ITU-R 601 with PIL's fixed-point weights (convert("L")); RGBA ignores the alpha channel as PIL does. */
Image to_gray(const Image& image);

/** The region [left, left + width) x [top, top + height).
 *  @throws Error INVALID_ARGUMENT when it is empty or leaves the picture. */
Image crop(const Image& image, int left, int top, int width, int height);

/** Centre crop to `width` x `height`; what the picture lacks is filled with `fill` (zeros in every known processor).
 *  The offset is floor((size - crop) / 2); in a padded dimension the picture moves by ceil of half the difference
 *  (transformers center_crop). */
Image center_crop(const Image& image, int width, int height, const Color& fill = {});

/** Adds borders of the given widths in pixels, filled with `fill`.
 *  @throws Error INVALID_ARGUMENT when a width is negative. */
Image pad(const Image& image, int left, int top, int right, int bottom, const Color& fill = {});

/** Centres the picture in a square of its longer side, offset floor((long - short) / 2) (LLaVA's pad_to_square). */
Image pad_to_square(const Image& image, const Color& fill);

/** LLaVA's background colour: int(mean * 255) per channel, truncated.
 *  @param mean 1, 3 or 4 values in [0, 1] */
Color mean_color(std::span<const double> mean);

/** How a pixel becomes a float; references differ in the last bit. */
enum class RescaleArithmetic {
    kDoubleMultiply,  ///< float(double(value) * factor): transformers' rescale()
    kFloatMultiply,   ///< float(value) * float(factor)
    kFloatDivide,     ///< float(value) / float(1 / factor): torchvision's ToTensor with factor 1/255
};

/** Order of the float output. */
enum class PixelLayout {
    kChw,  ///< [channels, height, width]
    kHwc,  ///< [height, width, channels]
};

/** Keys of preprocessor_config.json. */
struct NormalizeOptions {
    bool do_rescale = true;
    double rescale_factor = 1.0 / 255.0;
    RescaleArithmetic arithmetic = RescaleArithmetic::kDoubleMultiply;
    bool do_normalize = true;
    std::vector<double> mean;  ///< one per channel, or one for all; rounded to float before use
    std::vector<double> std;   ///< likewise; never zero
    PixelLayout layout = PixelLayout::kChw;
};

/** Float pixels: value * factor (when do_rescale), then (value - mean) / std in float32 (when do_normalize).
 *  Bit-equal to `pixel_values` of transformers' PIL back-end for kDoubleMultiply.
 *  @param out width * height * channels floats
 *  @throws Error INVALID_ARGUMENT for a wrong count of means or deviations, a zero or non-finite deviation or a short
 * `out`. */
void rescale_normalize(const Image& image, const NormalizeOptions& options, std::span<float> out);

/** The same into a new vector. */
std::vector<float> rescale_normalize(const Image& image, const NormalizeOptions& options);

}  // namespace vlm
