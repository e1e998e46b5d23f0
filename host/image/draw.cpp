/** @file draw.cpp
 *  PNG goes through libpng's simplified interface, which keeps its longjmp to itself.
 */
#include "host/image/draw.hpp"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string>

#include "host/base/error.hpp"
#include "host/image/resize.hpp"

namespace vlm {

namespace {

PixelBox clipped(const Image& image, const PixelBox& box) {
    return {std::clamp(box.left, 0, image.width), std::clamp(box.top, 0, image.height),
            std::clamp(box.right, 0, image.width), std::clamp(box.bottom, 0, image.height)};
}

uint8_t mix(uint8_t below, uint8_t above, float opacity) {
    const float value = static_cast<float>(below) * (1.0f - opacity) + static_cast<float>(above) * opacity;
    return static_cast<uint8_t>(std::lround(value));
}

void check_opacity(float opacity, const char* operation) {
    if (!(opacity >= 0.0f && opacity <= 1.0f)) {
        throw invalid_argument(std::string(operation) + ": opacity is " + std::to_string(opacity) +
                               "; expected a value from 0 to 1");
    }
}

}  // namespace

std::vector<uint8_t> encode_png(const Image& image) {
    check_image(image, "encode_png");
    png_image png;
    std::memset(&png, 0, sizeof png);
    png.version = PNG_IMAGE_VERSION;
    png.width = static_cast<png_uint_32>(image.width);
    png.height = static_cast<png_uint_32>(image.height);
    png.format = image.channels == 1 ? PNG_FORMAT_GRAY : image.channels == 3 ? PNG_FORMAT_RGB : PNG_FORMAT_RGBA;
    std::vector<uint8_t> bytes(PNG_IMAGE_PNG_SIZE_MAX(png));
    png_alloc_size_t size = bytes.size();
    if (!png_image_write_to_memory(&png, bytes.data(), &size, 0, image.pixels.data(), 0, nullptr)) {
        throw Error(VLM_STATUS_INTERNAL, std::string("encode_png: libpng failed: ") + png.message);
    }
    bytes.resize(size);
    return bytes;
}

void write_png(const std::filesystem::path& path, const Image& image) {
    const std::vector<uint8_t> bytes = encode_png(image);
    std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "wb"), std::fclose);
    const bool written = file && std::fwrite(bytes.data(), 1, bytes.size(), file.get()) == bytes.size();
    if (!written || std::fclose(file.release()) != 0) {
        throw Error(VLM_STATUS_PERMISSION_DENIED, path.string() + ": the picture of " + std::to_string(bytes.size()) +
                                                      " bytes cannot be written; check folder, rights and free space");
    }
}

void blend_box(Image& image, const PixelBox& box, const Color& color, float opacity) {
    check_image(image, "blend_box");
    check_opacity(opacity, "blend_box");
    const PixelBox area = clipped(image, box);
    const int colors = std::min(image.channels, 3);
    for (int y = area.top; y < area.bottom; ++y) {
        uint8_t* pixel = image.row(y) + static_cast<size_t>(area.left) * static_cast<size_t>(image.channels);
        for (int x = area.left; x < area.right; ++x, pixel += image.channels) {
            for (int c = 0; c < colors; ++c) pixel[c] = mix(pixel[c], color[static_cast<size_t>(c)], opacity);
        }
    }
}

void draw_box(Image& image, const PixelBox& box, const Color& color, int thickness) {
    // Far edges are brought near enough for the sums below, and stay far outside of any picture.
    const auto near = [](int v) { return std::clamp(v, -(1 << 29), 1 << 29); };
    const PixelBox b{near(box.left), near(box.top), near(box.right), near(box.bottom)};
    const int t = std::min({thickness, b.right - b.left, b.bottom - b.top});
    if (t < 1) return;
    blend_box(image, {b.left, b.top, b.right, b.top + t}, color, 1.0f);
    blend_box(image, {b.left, b.bottom - t, b.right, b.bottom}, color, 1.0f);
    blend_box(image, {b.left, b.top, b.left + t, b.bottom}, color, 1.0f);
    blend_box(image, {b.right - t, b.top, b.right, b.bottom}, color, 1.0f);
}

Color heat_color(float value) {
    // Every eighth of matplotlib's viridis; linear in between is within two steps of the original.
    constexpr std::array<std::array<float, 3>, 9> kMap = {{{68, 1, 84},
                                                           {71, 44, 122},
                                                           {59, 81, 139},
                                                           {44, 113, 142},
                                                           {33, 144, 141},
                                                           {39, 173, 129},
                                                           {92, 200, 99},
                                                           {170, 220, 50},
                                                           {253, 231, 37}}};
    const float at = value > 0.0f ? std::min(value, 1.0f) * 8.0f : 0.0f;  // NaN compares false
    const size_t cell = std::min<size_t>(static_cast<size_t>(at), 7);
    const float part = at - static_cast<float>(cell);
    Color color{0, 0, 0, 255};
    for (size_t c = 0; c < 3; ++c) {
        color[c] = static_cast<uint8_t>(std::lround(kMap[cell][c] * (1.0f - part) + kMap[cell + 1][c] * part));
    }
    return color;
}

Image overlay_heat_map(const Image& image, std::span<const float> values, int rows, int columns,
                       const HeatMapOptions& options) {
    check_opacity(options.opacity, "overlay_heat_map");
    if (rows < 1 || columns < 1 || static_cast<uint64_t>(rows) * static_cast<uint64_t>(columns) != values.size()) {
        throw invalid_argument("overlay_heat_map: " + std::to_string(values.size()) + " values for a grid of " +
                               std::to_string(rows) + " rows and " + std::to_string(columns) +
                               " columns; expected rows * columns of them");
    }
    float low = options.low;
    float high = options.high;
    if (low == high) {
        const auto [least, most] = std::minmax_element(values.begin(), values.end());
        low = *least;
        high = *most;
    }
    FloatImage map{columns, rows, {}};
    map.pixels.reserve(values.size());
    // A constant map has no range to spread over the colours; it is shown as the darkest one.
    for (const float value : values) map.pixels.push_back(high > low ? (value - low) / (high - low) : 0.0f);
    ResizeOptions stretch;
    stretch.filter = options.smooth ? Filter::kBilinear : Filter::kNearest;
    const FloatImage heat = resize(map, image.width, image.height, stretch);

    Image out = to_rgb(image);
    for (size_t i = 0; i < heat.pixels.size(); ++i) {
        const Color color = heat_color(heat.pixels[i]);
        for (size_t c = 0; c < 3; ++c) out.pixels[i * 3 + c] = mix(out.pixels[i * 3 + c], color[c], options.opacity);
    }
    return out;
}

}  // namespace vlm
