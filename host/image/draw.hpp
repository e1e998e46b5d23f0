/** @file draw.hpp
 *  Pictures of what a model looked at: boxes, heat maps over an image, and PNG output.
 *
 *  Enough to show attention rows and the tokens that a reducer merged or dropped, and no more: no text, no
 * anti-aliasing, no drawing library. Everything is clipped to the picture, so that callers may pass boxes that leave
 * it.
 */
#pragma once
#include <filesystem>
#include <span>
#include <vector>

#include "host/image/image.hpp"
#include "host/image/process.hpp"

namespace vlm {

/** A PNG file with the picture's pixels unchanged (gray, RGB or RGBA, 8 bits). */
std::vector<uint8_t> encode_png(const Image& image);

/** encode_png() into a file. @throws Error PERMISSION_DENIED when the file cannot be written. */
void write_png(const std::filesystem::path& path, const Image& image);

/** A rectangle of pixels, right and bottom exclusive. */
struct PixelBox {
    int left = 0;
    int top = 0;
    int right = 0;
    int bottom = 0;
};

/** Draws the outline of `box` with lines of `thickness` pixels that lie inside of it. */
void draw_box(Image& image, const PixelBox& box, const Color& color, int thickness = 1);

/** Mixes `color` into the pixels of `box`: 0 leaves them, 1 replaces them. Alpha of an RGBA picture is kept. */
void blend_box(Image& image, const PixelBox& box, const Color& color, float opacity);

/** Colour of a value in [0, 1]: the viridis map, dark blue to yellow, readable in gray and for the colour-blind.
 *  Values outside are clamped; NaN is taken as 0. */
Color heat_color(float value);

struct HeatMapOptions {
    float opacity = 0.5f;  ///< 0 shows the picture alone, 1 the map alone
    bool smooth = true;    ///< interpolate between cells; false shows the cells, as suits tokens
    float low = 0.0f;      ///< value shown as the darkest colour; low == high: the map's own range
    float high = 0.0f;     ///< value shown as the brightest colour
};

/** RGB copy of `image` with a grid of values stretched over it.
 *  @param values [rows, columns], row by row from the top
 *  @throws Error INVALID_ARGUMENT when the count is not rows * columns or the opacity is outside of [0, 1]. */
Image overlay_heat_map(const Image& image, std::span<const float> values, int rows, int columns,
                       const HeatMapOptions& options = {});

}  // namespace vlm
