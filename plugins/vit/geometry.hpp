/** @file geometry.hpp
 *  Which pixels of a picture a tower sees, from its size alone.
 *
 *  Preprocessing is a chain of exact 8-bit steps (resize, crop or pad) that ends in views, as a rule of equal size. The
 * chain is computed before anything is decoded, so that the host can plan; `preprocess.hpp` then carries it out. The
 * rules are those of the image processors of transformers 5.23 on Pillow, named beside each function.
 */
#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "config.hpp"

namespace vlm::vit {

/** How a picture is cut. */
enum class Cut {
    single,     ///< One view: resize, then crop (CLIP, SigLIP, BLIP, LLaVA).
    anyres,     ///< A base view and the tiles of the best of some resolutions (LLaVA-NeXT).
    tiles,      ///< A grid of tiles near the picture's aspect ratio, then a thumbnail (InternVL).
    smart,      ///< One view whose sides are multiples of a block of patches (Qwen2-VL).
    bounded,    ///< One view between a shortest and a longest edge (Idefics2).
    splitting,  ///< A grid of tiles of the tower's size, then a thumbnail (Idefics3).
};

/** A preprocessor_config.json in normalised form. Sizes in pixels; 0: not given. */
struct PreprocessConfig {
    Cut cut = Cut::single;
    bool resize = true;
    int32_t filter = VLM_RESAMPLE_BICUBIC;
    int32_t height = 0, width = 0;
    int32_t shortest_edge = 0, longest_edge = 0;
    int32_t max_height = 0, max_width = 0;
    bool crop = false;
    int32_t crop_height = 0, crop_width = 0;
    bool pad_to_square = false;
    std::array<uint8_t, 3> pad_colour{};  ///< Of the square: the mean, also where pixels are not normalised.
    double rescale = 1.0 / 255.0;
    std::array<float, 3> mean{};
    std::array<float, 3> std{1.F, 1.F, 1.F};
    std::vector<std::pair<int32_t, int32_t>> pinpoints;  ///< anyres: (height, width).
    int32_t min_tiles = 1, max_tiles = 12;
    bool thumbnail = true;  ///< tiles: a view of the whole picture comes behind several tiles.
    bool split = false;     ///< Idefics: cut into tiles.
    int32_t tile_edge = 0;
    int64_t min_pixels = 0, max_pixels = 0;
};

/** Reads preprocessor_config.json; what it leaves out is the default of its class, or follows the tower. */
PreprocessConfig read_preprocess_config(const sdk::ComponentConfig& c, const VitConfig& tower);

/** One 8-bit step from the source picture (`from` -1) or an earlier step. */
struct Step {
    int32_t from = -1;
    bool window = false;  ///< Copies the window at (`left`, `top`); else resizes.
    int32_t left = 0, top = 0;
    int32_t width = 0, height = 0;
    std::array<uint8_t, 3> fill{};
};

/** One view that the tower encodes. */
struct View {
    int32_t step = -1;  ///< -1: the source picture itself.
    bool global = true;
    int32_t tile_row = 0, tile_column = 0;
    sdk::Region region = sdk::kWholeImage;
    int32_t height = 0, width = 0;
};

/** Everything about one picture. Only towers that place patches by fractions take views of different sizes. */
struct Geometry {
    int32_t height = 0, width = 0;  ///< Of the largest view: smaller ones are padded to it.
    std::vector<Step> steps;
    std::vector<View> views;
};

/** The views of a picture of `width` x `height` pixels. Throws INVALID_ARGUMENT when the tower cannot take it. */
Geometry make_geometry(const PreprocessConfig& config, const VitConfig& tower, int32_t width, int32_t height);

}  // namespace vlm::vit
