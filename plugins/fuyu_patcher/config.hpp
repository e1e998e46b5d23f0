/** @file config.hpp
 *  How a page becomes patches: the three conventions in use, as independent choices.
 *
 *  Models without a vision tower differ in four points only: whether and how the page is resized, when and with what it
 * is padded, how a patch is flattened, and the statistics. A recipe chooses the points, preprocessor_config.json gives
 * the numbers; no family is named here.
 */
#pragma once
#include <array>
#include <cstdint>

#include "vlm/sdk/components.hpp"

namespace vlm::patcher {

/** How the page is resized. */
enum class Resize {
    none,    ///< Native resolution.
    shrink,  ///< Until it fits `size` (height, width); never enlarged (Fuyu).
    edges,   ///< Shortest edge to `size`, longest at most 1333/800 of it, both down to a multiple of `divisor` (ViLT).
};

/** What happens to a rest smaller than a patch on the right and at the bottom. */
enum class Pad {
    none,    ///< Left out, as a convolution does.
    before,  ///< Filled up with a value on the 0 … 255 scale, then normalised (Fuyu).
    after,   ///< Filled up with a value behind the normalisation.
};

/** Pixels, or patches, of a size. */
struct Extent {
    int32_t width = 0;
    int32_t height = 0;
};

/** Settings of a patcher. */
struct Config {
    Extent patch{30, 30};
    Resize resize = Resize::none;
    Pad pad = Pad::none;
    bool channel_last = false;  ///< A patch is [y, x, channel]; else [channel, y, x], which equals a convolution.
    Extent size{1920, 1080};    ///< Of Resize::shrink.
    int32_t shortest = 384;     ///< Of Resize::edges.
    int32_t divisor = 32;       ///< Of Resize::edges.
    int32_t filter = 2;         ///< VLM_RESAMPLE_*.
    double rescale = 1.0 / 255.0;
    float padding_value = 0;
    std::array<float, 3> mean{0, 0, 0};
    std::array<float, 3> std{1, 1, 1};

    /** Elements of a patch row. */
    int64_t patch_elements() const { return int64_t{3} * patch.width * patch.height; }
};

/** Reads the options of the recipe and preprocessor_config.json. Throws INVALID_ARGUMENT for an unknown key or a value
 * out of range, by name. */
Config read_config(const sdk::ComponentConfig& c);

/** Size of a page of `width` x `height` pixels after resizing (`FuyuImageProcessor.resize`,
 * `ViltImageProcessor.get_resize_output_image_size` of transformers). Throws INVALID_ARGUMENT when nothing would be
 * left. */
Extent resized(const Config& config, int32_t width, int32_t height);

/** Columns (`width`) and rows (`height`) of patches of a resized page. Throws INVALID_ARGUMENT when there is none. */
Extent patch_grid(const Config& config, const Extent& page);

}  // namespace vlm::patcher
