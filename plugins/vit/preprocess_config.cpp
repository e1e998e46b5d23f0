/** @file preprocess_config.cpp
 *  Reads preprocessor_config.json. Defaults are those of the image processor classes of transformers 5.23.
 */
#include <algorithm>
#include <cmath>

#include "geometry.hpp"

namespace vlm::vit {
namespace {

constexpr std::array<float, 3> kClipMean = {0.48145466F, 0.4578275F, 0.40821073F};
constexpr std::array<float, 3> kClipStd = {0.26862954F, 0.26130258F, 0.27577711F};
constexpr std::array<float, 3> kHalf = {0.5F, 0.5F, 0.5F};

/** Class defaults of an image processor. */
struct Kind {
    std::string_view name;
    Cut cut;
    bool square;  ///< A bare number as `size` is a square and not the shortest edge.
    bool crop;
    bool clip_statistics;
    int32_t filter;
    bool pads;  ///< `do_pad` means: pad to a square first.
};

constexpr Kind kKinds[] = {
    {"CLIPImageProcessor", Cut::single, false, true, true, VLM_RESAMPLE_BICUBIC, false},
    {"LlavaImageProcessor", Cut::single, false, true, true, VLM_RESAMPLE_BICUBIC, true},
    {"LlavaNextImageProcessor", Cut::anyres, false, true, true, VLM_RESAMPLE_BICUBIC, false},
    {"SiglipImageProcessor", Cut::single, true, false, false, VLM_RESAMPLE_BICUBIC, false},
    {"BlipImageProcessor", Cut::single, true, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"ViTImageProcessor", Cut::single, true, false, false, VLM_RESAMPLE_BILINEAR, false},
    {"IdeficsImageProcessor", Cut::single, true, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"Idefics2ImageProcessor", Cut::bounded, true, false, false, VLM_RESAMPLE_BILINEAR, false},
    {"Idefics3ImageProcessor", Cut::splitting, true, false, false, VLM_RESAMPLE_LANCZOS, false},
    {"SmolVLMImageProcessor", Cut::splitting, true, false, false, VLM_RESAMPLE_LANCZOS, false},
    {"GotOcr2ImageProcessor", Cut::tiles, true, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"Qwen2VLImageProcessor", Cut::smart, true, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"Qwen2_5_VLImageProcessor", Cut::smart, true, false, true, VLM_RESAMPLE_BICUBIC, false},
};

/** "CLIPImageProcessorFast" and the older "CLIPFeatureExtractor" are the same processor. */
std::string canonical(std::string name) {
    for (const std::string_view suffix : {"Fast", "Pil"})
        if (name.size() > suffix.size() && name.ends_with(suffix)) name.resize(name.size() - suffix.size());
    constexpr std::string_view kOld = "FeatureExtractor";
    if (name.ends_with(kOld)) name = name.substr(0, name.size() - kOld.size()) + "ImageProcessor";
    return name;
}

const Kind& kind_of(const sdk::Config& config, const VitConfig& tower) {
    std::string fallback = tower.pooling == Pooling::class_token ? "CLIPImageProcessor" : "SiglipImageProcessor";
    if (tower.rotary) fallback = "Qwen2VLImageProcessor";
    if (tower.positions == Positions::fraction) fallback = "Idefics2ImageProcessor";
    const std::string name =
        canonical(config.get("image_processor_type", config.get("feature_extractor_type", fallback)));
    std::string known;
    for (const Kind& kind : kKinds) {
        if (kind.name == name) return kind;
        known += (known.empty() ? "" : ", ") + std::string(kind.name);
    }
    throw sdk::invalid_argument(config.path("image_processor_type") + ": '" + name + "' is not supported; known are " +
                                known);
}

std::array<float, 3> statistics(const sdk::Config& config, const char* key, const std::array<float, 3>& fallback) {
    const auto values = config.list<float>(key, {fallback.begin(), fallback.end()});
    if (values.size() != 3 && values.size() != 1)
        throw sdk::invalid_argument(config.path(key) + ": expected three numbers, found " +
                                    std::to_string(values.size()));
    return {values.front(), values[values.size() / 2], values.back()};
}

int32_t pixels(const sdk::Config& config, const char* key) {
    return static_cast<int32_t>(config.integer(key, 0, 0, 65536));
}

void read_size(const sdk::Config& config, const Kind& kind, const VitConfig& tower, PreprocessConfig& p) {
    const nlohmann::json* size = config.find("size");
    if (kind.cut == Cut::smart) {
        const sdk::Config s = config.section("size");
        p.min_pixels = s.integer("shortest_edge", 56 * 56, 1, int64_t{1} << 32);
        p.max_pixels = s.integer("longest_edge", 28 * 28 * 1280, 1, int64_t{1} << 32);
        p.min_pixels = config.integer("min_pixels", s.integer("min_pixels", p.min_pixels, 1, int64_t{1} << 32), 1,
                                      int64_t{1} << 32);
        p.max_pixels = config.integer("max_pixels", s.integer("max_pixels", p.max_pixels, 1, int64_t{1} << 32), 1,
                                      int64_t{1} << 32);
        if (p.min_pixels > p.max_pixels)
            throw sdk::invalid_argument("preprocessor_config.json: min_pixels is above max_pixels");
    } else if (size != nullptr && !size->is_object()) {
        const auto edges = config.list<int32_t>("size", {});
        if (edges.size() == 2 || kind.square) {
            p.height = edges.at(0);
            p.width = edges.back();
        } else {
            p.shortest_edge = edges.at(0);
        }
    } else if (size != nullptr) {
        const sdk::Config s = config.section("size");
        p.height = pixels(s, "height");
        p.width = pixels(s, "width");
        p.shortest_edge = pixels(s, "shortest_edge");
        p.longest_edge = pixels(s, "longest_edge");
        p.max_height = pixels(s, "max_height");
        p.max_width = pixels(s, "max_width");
    } else if (kind.cut == Cut::bounded) {
        p.shortest_edge = 378;
        p.longest_edge = 980;
    } else if (kind.cut == Cut::splitting) {
        p.longest_edge = 4 * 364;
    } else if (kind.square) {
        p.height = tower.image_height;
        p.width = tower.image_width;
    } else {
        p.shortest_edge = std::min(tower.image_height, tower.image_width);
    }
    if (config.has("image_size")) p.height = p.width = pixels(config, "image_size");  // the first Idefics
    if (config.get("use_square_size", false)) p.height = p.width = std::max(p.shortest_edge, p.height);
    if (p.height > 0 && p.width > 0) p.shortest_edge = kind.cut == Cut::single ? 0 : p.shortest_edge;
    const bool usable = (p.height > 0 && p.width > 0) || p.shortest_edge > 0 || (p.max_height > 0 && p.max_width > 0) ||
                        kind.cut == Cut::smart || (kind.cut == Cut::splitting && p.longest_edge > 0);
    if (!usable || ((kind.cut == Cut::tiles) && p.height == 0))
        throw sdk::invalid_argument(config.path("size") +
                                    ": says no usable size; expected height and width, or shortest_edge");
}

void read_crop(const sdk::Config& config, const Kind& kind, const VitConfig& tower, PreprocessConfig& p) {
    p.crop = config.get("do_center_crop", kind.crop);
    const nlohmann::json* size = config.find("crop_size");
    p.crop_height = tower.image_height;
    p.crop_width = tower.image_width;
    if (size != nullptr && size->is_object()) {
        const sdk::Config s = config.section("crop_size");
        p.crop_height = static_cast<int32_t>(s.integer("height", p.crop_height, 1, 65536));
        p.crop_width = static_cast<int32_t>(s.integer("width", p.crop_width, 1, 65536));
    } else if (size != nullptr) {
        p.crop_height = p.crop_width = static_cast<int32_t>(config.integer("crop_size", 0, 1, 65536));
    }
}

/** `load_image` of InternVL's model cards: the file of the image processor gives the statistics at most. */
PreprocessConfig dynamic_config(const sdk::Config& config, const VitConfig& tower) {
    constexpr std::array<float, 3> kImageNetMean = {0.485F, 0.456F, 0.406F};
    constexpr std::array<float, 3> kImageNetStd = {0.229F, 0.224F, 0.225F};
    PreprocessConfig p;
    p.cut = tower.dynamic.tiles ? Cut::tiles : Cut::single;
    p.height = tower.image_height;
    p.width = tower.image_width;
    p.min_tiles = tower.dynamic.least;
    p.max_tiles = tower.dynamic.most;
    p.thumbnail = tower.dynamic.thumbnail;
    p.mean = statistics(config, "image_mean", kImageNetMean);
    p.std = statistics(config, "image_std", kImageNetStd);
    if (*std::min_element(p.std.begin(), p.std.end()) <= 0)
        throw sdk::invalid_argument(config.path("image_std") + ": must be positive");
    return p;
}

}  // namespace

PreprocessConfig read_preprocess_config(const sdk::ComponentConfig& component, const VitConfig& tower) {
    const sdk::Config& config = component.preprocessor;
    if (tower.dynamic.given) return dynamic_config(config, tower);
    const Kind& kind = kind_of(config, tower);
    PreprocessConfig p;
    p.cut = kind.cut;
    p.resize = config.get("do_resize", true);
    p.filter = static_cast<int32_t>(config.integer("resample", kind.filter, 0, 5));
    read_size(config, kind, tower, p);
    read_crop(config, kind, tower, p);
    p.pad_to_square = tower.pad_to_square || (kind.pads && config.get("do_pad", false));
    p.rescale = config.get("do_rescale", true) ? config.get("rescale_factor", 1.0 / 255.0) : 1.0;
    const auto mean = statistics(config, "image_mean", kind.clip_statistics ? kClipMean : kHalf);
    const auto deviation = statistics(config, "image_std", kind.clip_statistics ? kClipStd : kHalf);
    if (config.get("do_normalize", true)) {
        p.mean = mean;
        p.std = deviation;
    }
    if (*std::min_element(p.std.begin(), p.std.end()) <= 0)
        throw sdk::invalid_argument(config.path("image_std") + ": must be positive");
    if (kind.cut == Cut::anyres) {
        const nlohmann::json* points = config.find("image_grid_pinpoints");
        if (points == nullptr) points = component.model.find("image_grid_pinpoints");
        const nlohmann::json defaults = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
        for (const auto& point : points != nullptr ? *points : defaults) {
            if (!point.is_array() || point.size() != 2 || !point[0].is_number_integer() ||
                !point[1].is_number_integer() || point[0] < 1 || point[1] < 1 || point[0] > 65536 || point[1] > 65536)
                throw sdk::invalid_argument(config.path("image_grid_pinpoints") +
                                            ": expected pairs of height and width, found " + point.dump());
            p.pinpoints.emplace_back(point[0].get<int32_t>(), point[1].get<int32_t>());
        }
    } else if (kind.cut == Cut::tiles) {
        p.min_tiles = static_cast<int32_t>(config.integer("min_patches", 1, 1, 1024));
        p.max_tiles = static_cast<int32_t>(config.integer("max_patches", 12, 1, 1024));
        const bool tiles = config.get("crop_to_patches", false) || tower.always_tiles;
        if (!tiles || p.max_tiles == 1) p.cut = Cut::single;
    } else if (kind.cut == Cut::bounded) {
        p.split = config.get("do_image_splitting", false);
    } else if (kind.cut == Cut::splitting) {
        p.split = config.get("do_image_splitting", true);
        p.tile_edge = static_cast<int32_t>(config.section("max_image_size").integer("longest_edge", 364, 1, 65536));
    } else if (kind.cut == Cut::smart) {
        const auto same = [&config](const char* key, int32_t value) {
            if (config.get(key, value) != value)
                throw sdk::invalid_argument(config.path(key) + ": differs from the tower's " + std::to_string(value));
        };
        same("patch_size", tower.patch_height);
        same("merge_size", tower.merge);
        same("temporal_patch_size", tower.temporal);
    }
    // Padding to the largest picture of a batch changes nothing here, as pictures are read one by one; to a given size
    // it would.
    if (config.get("do_pad", false)) config.expect("pad_size", nlohmann::json());
    // What says nothing about the pixels of one picture.
    config.ignore({"processor_class",
                   "image_processor_type",
                   "feature_extractor_type",
                   "_valid_processor_keys",
                   "data_format",
                   "input_data_format",
                   "device",
                   "return_tensors",
                   "do_convert_rgb",
                   "default_to_square",
                   "image_seq_length",
                   "image_token",
                   "do_pad",
                   "pad_size",
                   "disable_grouping",
                   "image_num_channels",
                   "image_grid_pinpoints",
                   "return_row_col_info",
                   "use_thumbnail",
                   "aspect_ratio_setting",
                   "video_sampling",
                   "max_pixels",
                   "min_pixels",
                   "image_aspect_ratio",
                   "image_size",
                   "num_additional_image_tokens",
                   "patch_size",
                   "vision_feature_select_strategy"});
    config.refuse_unknown();
    return p;
}

}  // namespace vlm::vit
