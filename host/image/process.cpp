/** @file process.cpp
 *  Row copies and 256-entry tables; see process.hpp for whose arithmetic each function follows.
 */
#include "host/image/process.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>

#include "host/base/error.hpp"

namespace vlm {

namespace {

std::string size_text(const Image& image) {
    return std::to_string(image.width) + "x" + std::to_string(image.height);
}

Image filled(int width, int height, int channels, const Color& color) {
    Image image = make_image(width, height, channels, color[0]);
    const bool uniform = std::all_of(color.begin(), color.begin() + channels, [&](uint8_t c) { return c == color[0]; });
    if (uniform) return image;
    for (size_t i = 0; i < image.pixels.size(); i += static_cast<size_t>(channels)) {
        std::memcpy(image.pixels.data() + i, color.data(), static_cast<size_t>(channels));
    }
    return image;
}

/** Copies the part of `src` that lands in `dst` when src's corner is put at (left, top); either may be negative. */
void paste(const Image& src, int left, int top, Image& dst) {
    const int x0 = std::max(left, 0);
    const int x1 = std::min(left + src.width, dst.width);
    const int y0 = std::max(top, 0);
    const int y1 = std::min(top + src.height, dst.height);
    if (x0 >= x1) return;
    const auto channels = static_cast<size_t>(src.channels);
    for (int y = y0; y < y1; ++y) {
        std::memcpy(dst.row(y) + static_cast<size_t>(x0) * channels,
                    src.row(y - top) + static_cast<size_t>(x0 - left) * channels,
                    static_cast<size_t>(x1 - x0) * channels);
    }
}

/** `value` over white with coverage `alpha`. PIL's alpha_composite with an opaque background: seven extra bits. */
uint8_t over_white(uint32_t value, uint32_t alpha) {
    constexpr uint32_t kBits = 7;
    const uint32_t t = ((value * alpha + 255 * (255 - alpha)) << kBits) + (0x80u << kBits);
    return static_cast<uint8_t>((((t >> 8) + t) >> 8) >> kBits);
}

/** Per-channel constants: one value serves all channels. */
std::vector<float> per_channel(const std::vector<double>& values, int channels, const char* key) {
    if (values.size() != 1 && values.size() != static_cast<size_t>(channels)) {
        throw invalid_argument(std::string("normalize: ") + key + " has " + std::to_string(values.size()) +
                               " values; expected 1 or " + std::to_string(channels) +
                               ", one per channel of the picture");
    }
    std::vector<float> out(static_cast<size_t>(channels));
    for (size_t c = 0; c < out.size(); ++c) out[c] = static_cast<float>(values[values.size() == 1 ? 0 : c]);
    return out;
}

using Table = std::array<float, 256>;

std::vector<Table> make_tables(const NormalizeOptions& options, int channels) {
    Table scaled;
    for (size_t v = 0; v < scaled.size(); ++v) {
        const auto value = static_cast<float>(v);
        if (!options.do_rescale) {
            scaled[v] = value;
        } else if (options.arithmetic == RescaleArithmetic::kDoubleMultiply) {
            scaled[v] = static_cast<float>(static_cast<double>(v) * options.rescale_factor);
        } else if (options.arithmetic == RescaleArithmetic::kFloatMultiply) {
            scaled[v] = value * static_cast<float>(options.rescale_factor);
        } else {
            scaled[v] = value / static_cast<float>(1.0 / options.rescale_factor);
        }
    }
    std::vector<Table> tables(static_cast<size_t>(channels), scaled);
    if (!options.do_normalize) return tables;
    const std::vector<float> mean = per_channel(options.mean, channels, "image_mean");
    const std::vector<float> deviation = per_channel(options.std, channels, "image_std");
    for (size_t c = 0; c < tables.size(); ++c) {
        if (deviation[c] == 0.0f || !std::isfinite(deviation[c]) || !std::isfinite(mean[c])) {
            throw invalid_argument("normalize: channel " + std::to_string(c) + " has mean " + std::to_string(mean[c]) +
                                   " and deviation " + std::to_string(deviation[c]) +
                                   "; both must be finite and the deviation not zero");
        }
        for (float& value : tables[c]) value = (value - mean[c]) / deviation[c];
    }
    return tables;
}

}  // namespace

Image to_rgb(const Image& image) {
    check_image(image, "to_rgb");
    if (image.channels == 3) return image;
    Image out = make_image(image.width, image.height, 3);
    uint8_t* dst = out.pixels.data();
    const uint8_t* src = image.pixels.data();
    const size_t count = out.pixels.size() / 3;
    if (image.channels == 1) {
        for (size_t i = 0; i < count; ++i, dst += 3) dst[0] = dst[1] = dst[2] = src[i];
    } else {
        for (size_t i = 0; i < count; ++i, dst += 3, src += 4) {
            for (int c = 0; c < 3; ++c) dst[c] = over_white(src[c], src[3]);
        }
    }
    return out;
}

Image without_alpha(const Image& image) {
    if (image.channels != 4) return to_rgb(image);
    check_image(image, "without_alpha");
    Image out = make_image(image.width, image.height, 3);
    const uint8_t* src = image.pixels.data();
    for (size_t i = 0; i < out.pixels.size(); i += 3, src += 4) std::copy_n(src, 3, out.pixels.data() + i);
    return out;
}

Image to_gray(const Image& image) {
    check_image(image, "to_gray");
    if (image.channels == 1) return image;
    Image out = make_image(image.width, image.height, 1);
    const uint8_t* src = image.pixels.data();
    for (uint8_t& value : out.pixels) {
        value = static_cast<uint8_t>((src[0] * 19595u + src[1] * 38470u + src[2] * 7471u + 0x8000u) >> 16);
        src += image.channels;
    }
    return out;
}

Image crop(const Image& image, int left, int top, int width, int height) {
    check_image(image, "crop");
    if (left < 0 || top < 0 || width < 1 || height < 1 || left > image.width - width || top > image.height - height) {
        throw invalid_argument("crop: the region of " + std::to_string(width) + "x" + std::to_string(height) + " at (" +
                               std::to_string(left) + ", " + std::to_string(top) +
                               ") is empty or leaves the picture of " + size_text(image));
    }
    Image out = make_image(width, height, image.channels);
    paste(image, -left, -top, out);
    return out;
}

Image center_crop(const Image& image, int width, int height, const Color& fill) {
    check_image(image, "center_crop");
    Image out = filled(width, height, image.channels, fill);
    // A dimension that is too small is first padded to the crop size by ceil of half the difference on the left, and
    // floor((size - crop) / 2) + ceil((crop - size) / 2) is 0, so the padded picture is taken from its start.
    const int left = (image.width - width) >> 1;  // a shift rounds towards minus infinity, as Python's // does
    const int top = (image.height - height) >> 1;
    paste(image, -left, -top, out);
    return out;
}

Image pad(const Image& image, int left, int top, int right, int bottom, const Color& fill) {
    check_image(image, "pad");
    const int limit = 1 << 30;
    if (std::min({left, top, right, bottom}) < 0 || std::max({left, top, right, bottom}) > limit) {
        throw invalid_argument("pad: the borders are " + std::to_string(left) + ", " + std::to_string(top) + ", " +
                               std::to_string(right) + " and " + std::to_string(bottom) +
                               " pixels; expected values from 0 to 2^30");
    }
    const int64_t width = int64_t{image.width} + left + right;
    const int64_t height = int64_t{image.height} + top + bottom;
    if (width > limit || height > limit) {
        throw invalid_argument("pad: the padded picture would be " + std::to_string(width) + "x" +
                               std::to_string(height) + " pixels, beyond the limit of 2^30 a side");
    }
    Image out = filled(static_cast<int>(width), static_cast<int>(height), image.channels, fill);
    paste(image, left, top, out);
    return out;
}

Image pad_to_square(const Image& image, const Color& fill) {
    check_image(image, "pad_to_square");
    const int side = std::max(image.width, image.height);
    const int left = (side - image.width) / 2;
    const int top = (side - image.height) / 2;
    return pad(image, left, top, side - image.width - left, side - image.height - top, fill);
}

Color mean_color(std::span<const double> mean) {
    if (mean.empty() || mean.size() > 4) {
        throw invalid_argument("mean_color: image_mean has " + std::to_string(mean.size()) +
                               " values; expected 1 to 4, one per channel");
    }
    Color color{};
    for (size_t c = 0; c < mean.size(); ++c) {
        if (!(mean[c] >= 0.0 && mean[c] <= 1.0)) {
            throw invalid_argument("mean_color: image_mean[" + std::to_string(c) + "] is " + std::to_string(mean[c]) +
                                   "; a fill colour needs values from 0 to 1");
        }
        color[c] = static_cast<uint8_t>(mean[c] * 255);
    }
    return color;
}

void rescale_normalize(const Image& image, const NormalizeOptions& options, std::span<float> out) {
    check_image(image, "rescale_normalize");
    if (out.size() != image.pixels.size()) {
        throw invalid_argument("rescale_normalize: the output holds " + std::to_string(out.size()) +
                               " floats; expected " + std::to_string(image.pixels.size()) +
                               ", one for each pixel and channel");
    }
    const std::vector<Table> tables = make_tables(options, image.channels);
    const auto channels = static_cast<size_t>(image.channels);
    const size_t plane = out.size() / channels;
    for (size_t c = 0; c < channels; ++c) {
        const Table& table = tables[c];
        const uint8_t* src = image.pixels.data() + c;
        if (options.layout == PixelLayout::kChw) {
            float* dst = out.data() + c * plane;
            for (size_t i = 0; i < plane; ++i) dst[i] = table[src[i * channels]];
        } else {
            float* dst = out.data() + c;
            for (size_t i = 0; i < plane; ++i) dst[i * channels] = table[src[i * channels]];
        }
    }
}

std::vector<float> rescale_normalize(const Image& image, const NormalizeOptions& options) {
    std::vector<float> out(image.pixels.size());
    rescale_normalize(image, options, out);
    return out;
}

}  // namespace vlm
