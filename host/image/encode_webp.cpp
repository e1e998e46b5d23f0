/** @file encode_webp.cpp
 *  See encode_webp.hpp.
 */
#include "host/image/encode_webp.hpp"

#include <webp/encode.h>

#include <memory>
#include <string>

#include "host/base/error.hpp"
#include "host/image/process.hpp"

namespace vlm {

std::vector<uint8_t> encode_webp(const Image& image, float quality) {
    check_image(image, "encode_webp");
    if (image.width > WEBP_MAX_DIMENSION || image.height > WEBP_MAX_DIMENSION)
        throw invalid_argument("encode_webp: found " + std::to_string(image.width) + " x " +
                               std::to_string(image.height) + " pixels, WebP holds at most " +
                               std::to_string(WEBP_MAX_DIMENSION) + " on a side; shrink the picture first");
    const Image rgb = to_rgb(image);
    uint8_t* bytes = nullptr;
    const size_t size =
        WebPEncodeRGB(rgb.pixels.data(), rgb.width, rgb.height, static_cast<int>(rgb.stride()), quality, &bytes);
    const std::unique_ptr<uint8_t, void (*)(void*)> owner(bytes, WebPFree);
    if (size == 0) throw resource_exhausted("encode_webp: libwebp could not encode the picture; is memory short?");
    return {bytes, bytes + size};
}

}  // namespace vlm
