/** @file preprocess.hpp
 *  Carries out a Geometry with the host's image service and writes `pixel_values`.
 */
#pragma once
#include <vlm/image.h>

#include <span>

#include "geometry.hpp"

namespace vlm::vit {

/** Shape of the pixel tensor: `[views, 3, height, width]`, or `[rows, columns, channel * frame * y * x]` for towers
 * whose patches come in blocks: the elements are those of Qwen2-VL's `pixel_values`, the shape carries its
 * `image_grid_thw`. */
sdk::Shape pixel_shape(const VitConfig& tower, const Geometry& geometry);

/** Writes the pixels of `image`, whose size is that of the geometry's source, to `out`. */
void make_pixels(const vlm_image_service& service, const PreprocessConfig& config, const VitConfig& tower,
                 const Geometry& geometry, const vlm_image& image, std::span<float> out);

}  // namespace vlm::vit
