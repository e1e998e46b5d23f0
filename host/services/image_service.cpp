/** @file image_service.cpp
 *  `vlm.image/1`: the image library behind the C ABI.
 */
#include <vlm/image.h>

#include <algorithm>
#include <cstring>

#include "host/base/error.hpp"
#include "host/image/process.hpp"
#include "host/image/resize.hpp"
#include "host/services/tables.hpp"

namespace vlm {
namespace {

constexpr int kChannels = 3;

Image copy_rgb(const uint8_t* pixels, int32_t width, int32_t height) {
    Image image = make_image(width, height, kChannels);
    std::memcpy(image.pixels.data(), pixels, image.pixels.size());
    return image;
}

vlm_status resize_rgb(const uint8_t* src, int32_t src_width, int32_t src_height, uint8_t* dst, int32_t dst_width,
                      int32_t dst_height, int32_t filter) {
    if (src == nullptr || dst == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
    return guarded([&] {
        ResizeOptions options;
        options.filter = filter_from_pil(filter);
        const Image result = resize(copy_rgb(src, src_width, src_height), dst_width, dst_height, options);
        std::memcpy(dst, result.pixels.data(), result.pixels.size());
    });
}

vlm_status window_rgb(const uint8_t* src, int32_t src_width, int32_t src_height, int32_t left, int32_t top,
                      uint8_t* dst, int32_t dst_width, int32_t dst_height, const uint8_t* fill) {
    if (src == nullptr || dst == nullptr || fill == nullptr || src_width < 1 || src_height < 1 || dst_width < 1 ||
        dst_height < 1)
        return VLM_STATUS_INVALID_ARGUMENT;
    const int64_t begin = std::clamp<int64_t>(-static_cast<int64_t>(left), 0, dst_width);
    const int64_t end = std::clamp<int64_t>(static_cast<int64_t>(src_width) - left, begin, dst_width);
    for (int64_t y = 0; y < dst_height; ++y) {
        uint8_t* row = dst + y * dst_width * kChannels;
        const int64_t source_y = y + top;
        const bool inside = source_y >= 0 && source_y < src_height && begin < end;
        for (int64_t x = 0; x < dst_width; ++x)
            if (!inside || x < begin || x >= end) std::memcpy(row + x * kChannels, fill, kChannels);
        if (inside)
            std::memcpy(row + begin * kChannels, src + (source_y * src_width + begin + left) * kChannels,
                        static_cast<size_t>(end - begin) * kChannels);
    }
    return VLM_STATUS_OK;
}

vlm_status normalize_rgb(const uint8_t* src, int32_t width, int32_t height, double rescale, const float* mean,
                         const float* std, float* dst) {
    if (src == nullptr || mean == nullptr || std == nullptr || dst == nullptr) return VLM_STATUS_INVALID_ARGUMENT;
    return guarded([&] {
        NormalizeOptions options;
        options.rescale_factor = rescale;
        options.mean.assign(mean, mean + kChannels);
        options.std.assign(std, std + kChannels);
        const Image image = copy_rgb(src, width, height);
        rescale_normalize(image, options, std::span(dst, image.pixels.size()));
    });
}

}  // namespace

const vlm_image_service& image_service() {
    static const vlm_image_service table = {sizeof(vlm_image_service), VLM_ABI_VERSION, resize_rgb, window_rgb,
                                            normalize_rgb};
    return table;
}

}  // namespace vlm
