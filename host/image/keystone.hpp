/** @file keystone.hpp
 *  Finds and undoes the perspective of a page that was photographed askew. Internal to host/image.
 *
 *  Turning makes one row level; on a photograph the others then still slope, each a little more than the one above it,
 * and a row profile runs them together. To first order perspective is four numbers: the slope of rows and of columns at
 * the centre, and by how much each grows per pixel. The slope of rows is find_angle's; the other three are found here
 * in the same way, by the sharpest profile. A page whose profile they do not sharpen much is left exactly as it is.
 */
#pragma once
#include <array>

#include "host/image/image.hpp"
#include "host/image/rows.hpp"

namespace vlm::rows {

/** The slope of rows at the centre of `ink` and how it grows, in place of `angle` and no growth where that makes the
 * row profile much sharper. `lean` and `splay` stay 0. */
struct Slopes {
    double angle = 0.0;  ///< degrees
    Keystone keystone;
};
Slopes find_fan(const Image& ink, double angle, double max_angle);

/** `lean` and `splay` from the long vertical strokes of `ink`, whose rows are level already; both 0 where there are few
 * of them. */
Keystone find_splay(const Image& ink, double max_angle);

/** Gray picture turned by `angle` degrees with rows and columns made parallel; bilinear, white outside. */
Image straighten(const Image& gray, double angle, const Keystone& keystone);

/** Where a point {x, y} of a level page lay before: its perspective is put back, then it is turned back about the
 * centre. */
class BeforeLevelling {
  public:
    /** @param width,height size of the page, the same before and after
     *  @param angle degrees by which its rows sloped down to the right */
    BeforeLevelling(int width, int height, double angle, const Keystone& keystone);
    std::array<double, 2> operator()(double x, double y) const;

  private:
    double centre_x_, centre_y_, cos_, sin_;
    Keystone keystone_;
};

}  // namespace vlm::rows
