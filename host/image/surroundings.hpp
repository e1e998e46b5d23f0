/** @file surroundings.hpp
 *  Takes away what lies around a page in a photograph. Internal to host/image.
 *
 *  Dividing the light out makes a table as white as paper in its middle and leaves dark crumbs along the page's edge,
 * which join rows of text and turn the page askew. No single brightness tells table from paper: a table under a lamp is
 * as bright as paper in the shade. But within either of them light changes slowly, and from one to the other at once.
 * A page that fills its picture is left exactly as it is.
 */
#pragma once
#include "host/image/image.hpp"

namespace vlm::rows {

/** Whitens a table that is darker than the page along at least half of the picture's edge, and dark areas that reach
 * it.
 *  @param blocks brightest pixel of each block of `block` x `block` pixels of `gray`
 *  @param gray picture to change, or a picture derived from it of the same size */
void whiten_surroundings(const FloatImage& blocks, int block, Image& gray);

}  // namespace vlm::rows
