/** @file encode_webp.hpp
 *  Small pictures for reports. WebP, because libwebp is here for reading and encodes in one call, and because every
 *  browser shows it at a tenth of a PNG's size.
 */
#pragma once
#include <cstdint>
#include <vector>

#include "host/image/image.hpp"

namespace vlm {

/** A lossy WebP file of a gray, RGB or RGBA picture; `quality` 0 to 100.
 *  @throws Error INVALID_ARGUMENT for a picture of a side above 16383 pixels, which WebP cannot hold. */
std::vector<uint8_t> encode_webp(const Image& image, float quality = 70);

}  // namespace vlm
