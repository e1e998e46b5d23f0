/** @file image.hpp
 *  The one picture type that decoding, processing and drawing share.
 *
 *  Pixels are 8-bit, interleaved (HWC), rows packed without padding: what PIL calls modes L, RGB and RGBA, and the
 * layout in which every reference implementation of a vision processor does its geometry. A struct with public members,
 * because a picture has no invariant worth hiding beyond `pixels.size() == width * height * channels`, which
 * make_image() ensures.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <vector>

namespace vlm {

/** An 8-bit picture: `channels` is 1 (gray), 3 (RGB) or 4 (RGB + straight alpha). */
struct Image {
    int width = 0;
    int height = 0;
    int channels = 0;
    std::vector<uint8_t> pixels;  ///< [height, width, channels]

    bool empty() const { return pixels.empty(); }

    /** Bytes of one row. */
    size_t stride() const { return static_cast<size_t>(width) * static_cast<size_t>(channels); }

    uint8_t* row(int y) { return pixels.data() + static_cast<size_t>(y) * stride(); }
    const uint8_t* row(int y) const { return pixels.data() + static_cast<size_t>(y) * stride(); }
};

/** A single-channel float picture (PIL mode F), [height, width]. */
struct FloatImage {
    int width = 0;
    int height = 0;
    std::vector<float> pixels;  ///< [height, width]
};

/** An image of the given size with every byte equal to `value`.
 *  @throws Error INVALID_ARGUMENT when a side is not positive or channels is not 1, 3 or 4; RESOURCE_EXHAUSTED beyond 4
 * GiB. */
Image make_image(int width, int height, int channels, uint8_t value = 0);

/** Checks that sides are positive, channels is 1, 3 or 4 and the buffer has the matching size.
 *  @param operation name of the caller for the message
 *  @throws Error INVALID_ARGUMENT otherwise. */
void check_image(const Image& image, const char* operation);

}  // namespace vlm
