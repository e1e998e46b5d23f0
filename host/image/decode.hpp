/** @file decode.hpp
 *  From the bytes of a picture file to the pixels that a reference processor would see.
 *
 *  "The pixels that it would see" is more than decoding: references open files with Pillow, apply the EXIF orientation
 * and convert to RGB with transparency composited on white (transformers 5.x). The same libraries are used with the
 * same settings (libjpeg-turbo: accurate integer DCT, smooth chroma upsampling; libpng without gamma; libwebp through
 * its animation decoder), and the conversions around them follow Pillow, so that the bytes are equal. The deliberate
 * differences:
 *  - 16-bit gray PNG is reduced to its high byte, as Pillow itself does for 16-bit colour; Pillow clips 16-bit gray at
 * 255, which turns nearly every such picture white.
 *  - A JPEG whose entropy-coded data is damaged is refused; Pillow returns it with gray areas, and a wrong picture must
 * not be answered about with confidence.
 *
 *  Files are untrusted: sizes are read from the header and checked before anything is allocated for pixels.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

#include "host/image/image.hpp"

namespace vlm {

/** What a file may cost. */
struct DecodeLimits {
    uint64_t max_pixels = uint64_t{64} << 20;       ///< width * height according to the header
    uint32_t max_side = 65535;                      ///< width or height; a JPEG cannot hold more
    uint64_t max_file_bytes = uint64_t{256} << 20;  ///< encoded size
};

/** Channels of the result. */
enum class ColorMode {
    kRgb,     ///< Always 3: gray repeated, transparency composited on white.
    kOpaque,  ///< Always 3: gray repeated, transparency forgotten, as Pillow's convert("RGB") does.
    kKeep,    ///< 1 for gray, 3 for colour, 4 where the file has transparency.
};

/** Decodes a JPEG (baseline, progressive, arithmetic; gray, RGB, YCbCr, CMYK, YCCK), PNG (all colour types and depths,
 *  interlaced) or WebP (lossy, lossless, alpha; first frame of an animation) and applies EXIF or XMP orientation 1
 * to 8. The kind is taken from the content, never from the name.
 *  @param data the whole file
 *  @param name how messages call the picture
 *  @throws Error DATA_LOSS for empty, truncated or corrupt data; UNIMPLEMENTED for a picture format that is recognised
 * but not read here, INVALID_ARGUMENT for something that is no picture; RESOURCE_EXHAUSTED beyond `limits`. */
Image decode_memory(std::span<const uint8_t> data, const DecodeLimits& limits = {}, ColorMode mode = ColorMode::kRgb,
                    std::string_view name = "image");

/** The same for a file.
 *  @throws Error as decode_memory(), and NOT_FOUND, INVALID_ARGUMENT for a directory or device, PERMISSION_DENIED. */
Image decode_file(const std::filesystem::path& path, const DecodeLimits& limits = {}, ColorMode mode = ColorMode::kRgb);

/** A picture that was decoded with ColorMode::kKeep, as `mode` would have given it. */
Image with_color_mode(Image image, ColorMode mode);

}  // namespace vlm
