/** @file decode_formats.hpp
 *  The three readers behind decode_memory(); internal to host/image.
 *
 *  One file per library, because each library has its own way to report failure, and that way (longjmp in two of three)
 * must stay within one file. Each returns pixels in the file's own orientation plus the raw metadata that orientation
 * is read from.
 */
#pragma once
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"

namespace vlm::decode {

struct Decoded {
    Image image;                ///< 1, 3 or 4 channels, not yet oriented
    std::vector<uint8_t> exif;  ///< TIFF structure, perhaps with "Exif\0\0" in front; may be empty
    std::vector<uint8_t> xmp;   ///< XMP packet; may be empty
};

/** What the readers need to know besides the bytes. */
struct Source {
    std::span<const uint8_t> data;
    DecodeLimits limits;
    std::string_view name;  ///< for messages
};

Decoded read_jpeg(const Source& source);
Decoded read_png(const Source& source);
Decoded read_webp(const Source& source);

/** @throws Error RESOURCE_EXHAUSTED when the header claims more than the limits, DATA_LOSS when a side is zero. */
void check_size(const Source& source, uint64_t width, uint64_t height);

/** DATA_LOSS with a common wording. @param format "JPEG", "PNG" or "WebP"; @param reason what the library said */
Error damaged(const Source& source, const char* format, const std::string& reason);

}  // namespace vlm::decode
