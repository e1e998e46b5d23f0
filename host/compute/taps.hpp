/** @file taps.hpp
 *  Interpolation as a few weighted taps per output and axis, exactly as torch.nn.functional.interpolate does it
 * (reference: aten/src/ATen/native/cpu/UpSampleKernel.cpp and UpSample.h): coordinates in f32, bicubic with a = -0.75
 * whose borders repeat the edge, and with antialiasing the filters of Pillow (there a = -0.5), renormalised at the
 * border. Every device applies the same taps.
 */
#pragma once
#include <cstdint>
#include <vector>

namespace vlm {

/** Where one output comes from. */
struct Tap {
    int64_t index;
    float weight;
};
/** The taps of every output of one axis. */
using Taps = std::vector<std::vector<Tap>>;

/** How taps are made; see vlm_compute::interpolate. */
struct TapRule {
    bool cubic = false, align_corners = false, antialias = false;
};

/** Taps of `to` outputs over `from` inputs, both at least 1. */
Taps make_taps(int64_t from, int64_t to, const TapRule& rule);

}  // namespace vlm
