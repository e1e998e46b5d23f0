/** @file image.cpp
 *  Construction and checking of Image: sizes are multiplied in 64 bits and bounded before anything is allocated.
 */
#include "host/image/image.hpp"

#include <string>

#include "host/base/error.hpp"

namespace vlm {

namespace {

/** No picture of this SDK is larger; keeps every later product of sides and channels far from overflow. */
constexpr uint64_t kMaxImageBytes = uint64_t{4} << 30;

}  // namespace

Image make_image(int width, int height, int channels, uint8_t value) {
    if (width < 1 || height < 1 || (channels != 1 && channels != 3 && channels != 4)) {
        throw invalid_argument("image: cannot make a picture of " + std::to_string(width) + "x" +
                               std::to_string(height) + " with " + std::to_string(channels) +
                               " channels; sides must be at least 1 and channels 1, 3 or 4");
    }
    const uint64_t bytes = uint64_t(width) * uint64_t(height) * uint64_t(channels);
    if (bytes > kMaxImageBytes) {
        throw resource_exhausted("image: a picture of " + std::to_string(width) + "x" + std::to_string(height) +
                                 " needs " + std::to_string(bytes) + " bytes, more than the limit of " +
                                 std::to_string(kMaxImageBytes) + "; use a smaller size");
    }
    Image image;
    image.width = width;
    image.height = height;
    image.channels = channels;
    image.pixels.assign(static_cast<size_t>(bytes), value);
    return image;
}

void check_image(const Image& image, const char* operation) {
    const bool shape_ok =
        image.width > 0 && image.height > 0 && (image.channels == 1 || image.channels == 3 || image.channels == 4);
    if (!shape_ok || uint64_t(image.width) * uint64_t(image.height) * uint64_t(image.channels) != image.pixels.size()) {
        throw invalid_argument(std::string(operation) + ": the picture claims " + std::to_string(image.width) + "x" +
                               std::to_string(image.height) + "x" + std::to_string(image.channels) + " but holds " +
                               std::to_string(image.pixels.size()) +
                               " bytes; expected positive sides, 1, 3 or 4 channels and a buffer of that size");
    }
}

}  // namespace vlm
