/** @file level_page.hpp
 *  The steps of level_page(), each on its own so that tests can look at it. Internal to host/image.
 */
#pragma once
#include <array>
#include <vector>

#include "host/image/image.hpp"
#include "host/image/rows.hpp"

namespace vlm::rows {

/** Gray page on which red counts as paper, because stamps and seals are red and lie over the print. */
Image gray_without_red(const Image& page);

/** Gray page divided by the brightness of the paper around each pixel; paper becomes 255. */
Image flatten_light(const Image& gray);

/** [height, width, 1]: 1 where the pixel is below `threshold`. */
Image ink_of(const Image& gray, int threshold);

/** Slope of the text in degrees within +-max_angle: the angle with the sharpest row profile. */
double find_angle(const Image& ink, double max_angle);

/** Positions {x, y} of the ink, in reading order: all, or evenly some 60000 of more. */
std::vector<std::array<double, 2>> sample_ink(const Image& ink);

/** Gray picture turned counter-clockwise by `angle` degrees about its centre; bilinear, white outside. Equal to
 *  PIL.Image.rotate(angle, BILINEAR, fillcolor=255). */
Image rotate(const Image& gray, double angle);

/** The gray value at a point, bilinear between pixel centres (x + 0.5, y + 0.5); 255 outside of the picture. */
uint8_t sample(const Image& gray, double x, double y);

/** The rules of a page, [height, width, 1] each: 1 in straight runs of ink of at least `length` pixels and the soft
 * pixels along them. */
struct Rules {
    Image across;
    Image down;
};
Rules find_rules(const Image& ink, int length);

/** Gray picture with the rules made white. */
Image wipe_rules(const Image& gray, const Rules& rules);

/** Ink without pixels that have fewer than two others among their eight neighbours. */
Image without_specks(const Image& ink);

}  // namespace vlm::rows
