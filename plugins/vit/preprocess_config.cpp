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
    int32_t edge;      ///< Of the default `size`; 0: the cut has its own.
    bool square;       ///< The default `size` is a square of `edge`, and not the shortest edge.
    bool bare_square;  ///< A bare number as `size` is a square (`default_to_square`).
    bool crop;
    bool clip_statistics;
    int32_t filter;
    bool pads;  ///< `do_pad` means: pad to a square first.
};

constexpr Kind kKinds[] = {
    {"CLIPImageProcessor", Cut::single, 224, false, false, true, true, VLM_RESAMPLE_BICUBIC, false},
    {"LlavaImageProcessor", Cut::single, 224, false, false, true, true, VLM_RESAMPLE_BICUBIC, true},
    {"LlavaNextImageProcessor", Cut::anyres, 224, false, false, true, true, VLM_RESAMPLE_BICUBIC, false},
    {"SiglipImageProcessor", Cut::single, 224, true, false, false, false, VLM_RESAMPLE_BICUBIC, false},
    {"BlipImageProcessor", Cut::single, 384, true, true, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"ViTImageProcessor", Cut::single, 224, true, true, false, false, VLM_RESAMPLE_BILINEAR, false},
    {"IdeficsImageProcessor", Cut::single, 224, true, true, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"Idefics2ImageProcessor", Cut::bounded, 0, true, false, false, false, VLM_RESAMPLE_BILINEAR, false},
    {"Idefics3ImageProcessor", Cut::splitting, 0, true, true, false, false, VLM_RESAMPLE_LANCZOS, false},
    {"SmolVLMImageProcessor", Cut::splitting, 0, true, true, false, false, VLM_RESAMPLE_LANCZOS, false},
    {"GotOcr2ImageProcessor", Cut::tiles, 384, true, true, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"Qwen2VLImageProcessor", Cut::smart, 0, true, false, false, true, VLM_RESAMPLE_BICUBIC, false},
    {"Qwen2_5_VLImageProcessor", Cut::smart, 0, true, false, false, true, VLM_RESAMPLE_BICUBIC, false},
};

/** "CLIPImageProcessorFast" and the older "CLIPFeatureExtractor" are the same processor. */
std::string canonical(std::string name) {
    for (const std::string_view suffix : {"Fast", "Pil"})
        if (name.size() > suffix.size() && name.ends_with(suffix)) name.resize(name.size() - suffix.size());
    constexpr std::string_view kOld = "FeatureExtractor";
    if (name.ends_with(kOld)) name = name.substr(0, name.size() - kOld.size()) + "ImageProcessor";
    return name;
}

/** The class that a file without a class name means: that of the model's type in transformers, else what the tower's
 * kind suggests. */
std::string unnamed_kind(const sdk::ComponentConfig& component, const VitConfig& tower) {
    constexpr std::pair<std::string_view, const char*> kOfModel[] = {
        {"llava", "LlavaImageProcessor"},     {"llava_next", "LlavaNextImageProcessor"},
        {"blip-2", "BlipImageProcessor"},     {"instructblip", "BlipImageProcessor"},
        {"idefics", "IdeficsImageProcessor"}, {"idefics3", "Idefics3ImageProcessor"},
        {"smolvlm", "SmolVLMImageProcessor"}, {"internvl", "GotOcr2ImageProcessor"},
        {"kosmos-2", "CLIPImageProcessor"},
    };
    const auto& model = component.model.json();
    if (const auto type = model.find("model_type"); type != model.end() && !component.preprocessor.empty())
        for (const auto& [name, processor] : kOfModel)
            if (*type == name) return processor;
    if (tower.rotary) return "Qwen2VLImageProcessor";
    if (tower.positions == Positions::fraction) return "Idefics2ImageProcessor";
    return tower.pooling == Pooling::class_token ? "CLIPImageProcessor" : "SiglipImageProcessor";
}

const Kind& kind_of(const sdk::ComponentConfig& component, const VitConfig& tower) {
    const sdk::Config& config = component.preprocessor;
    const std::string name = canonical(
        config.get("image_processor_type", config.get("feature_extractor_type", unnamed_kind(component, tower))));
    std::string known;
    for (const Kind& kind : kKinds) {
        if (kind.name == name) return kind;
        known += (known.empty() ? "" : ", ") + std::string(kind.name);
    }
    throw sdk::invalid_argument(config.path("image_processor_type") + ": '" + name + "' is not supported; known are " +
                                known);
}

/** A switch. Null is off, as the reference asks only whether the value is true; an absent key has the class's default.
 */
bool flag(const sdk::Config& config, const char* key, bool fallback) {
    const auto it = config.json().find(key);
    return it != config.json().end() && it->is_null() ? false : config.get(key, fallback);
}

/** A size written as a list: height and width. */
std::array<int32_t, 2> pair_of(const sdk::Config& config, const char* key) {
    const auto sides = config.list<int32_t>(key, {});
    if (sides.size() != 2 || std::min(sides[0], sides[1]) < 1 || std::max(sides[0], sides[1]) > 65536)
        throw sdk::invalid_argument(config.path(key) + ": expected [height, width], each 1 to 65536, found " +
                                    config.find(key)->dump());
    return {sides[0], sides[1]};
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
    } else if (size != nullptr && size->is_array()) {
        const auto sides = pair_of(config, "size");
        p.height = sides[0];
        p.width = sides[1];
    } else if (size != nullptr && !size->is_object()) {
        const auto edge = static_cast<int32_t>(config.integer("size", 0, 1, 65536));
        if (flag(config, "default_to_square", kind.bare_square))
            p.height = p.width = edge;
        else
            p.shortest_edge = edge;
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
    } else if (kind.square) {  // without any file: what the tower takes
        p.height = config.empty() ? tower.image_height : kind.edge;
        p.width = config.empty() ? tower.image_width : kind.edge;
    } else {
        p.shortest_edge = config.empty() ? std::min(tower.image_height, tower.image_width) : kind.edge;
    }
    if (kind.name == "IdeficsImageProcessor" && config.has("image_size")) {  // replaces all that `size` says
        p.height = p.width = pixels(config, "image_size");
        p.shortest_edge = p.longest_edge = p.max_height = p.max_width = 0;
    }
    if (config.get("use_square_size", false)) p.height = p.width = std::max(p.shortest_edge, p.height);
    if (p.height > 0 && p.width > 0) p.shortest_edge = kind.cut == Cut::single ? 0 : p.shortest_edge;
    const bool exact = p.height > 0 && p.width > 0;
    bool usable = exact;
    switch (kind.cut) {
        case Cut::single:
            usable = exact || p.shortest_edge > 0 || (p.max_height > 0 && p.max_width > 0);
            break;
        case Cut::anyres:
            usable = exact || p.shortest_edge > 0;
            break;
        case Cut::bounded:
            usable = exact || (p.shortest_edge > 0 && p.longest_edge > 0);
            break;
        case Cut::splitting:
            usable = exact || p.longest_edge > 0;
            break;
        case Cut::smart:
            usable = true;
            break;
        case Cut::tiles:
            break;
    }
    if (!usable)
        throw sdk::invalid_argument(config.path("size") + ": says no usable size; expected height and width" +
                                    (kind.cut == Cut::bounded     ? ", or shortest_edge and longest_edge"
                                     : kind.cut == Cut::splitting ? ", or longest_edge"
                                     : kind.cut == Cut::tiles     ? ""
                                                                  : ", or shortest_edge"));
}

void read_crop(const sdk::Config& config, const Kind& kind, const VitConfig& tower, PreprocessConfig& p) {
    p.crop = flag(config, "do_center_crop", kind.crop);
    const nlohmann::json* size = config.find("crop_size");
    p.crop_height = config.empty() ? tower.image_height : kind.edge;
    p.crop_width = config.empty() ? tower.image_width : kind.edge;
    if (size == nullptr && !p.crop && config.json().contains("crop_size")) {
        p.crop_height = p.crop_width = 0;  // null: tiles of LLaVA-NeXT are then as large as `size`
    } else if (size != nullptr && size->is_object()) {
        const sdk::Config s = config.section("crop_size");
        p.crop_height = static_cast<int32_t>(s.integer("height", p.crop_height, 1, 65536));
        p.crop_width = static_cast<int32_t>(s.integer("width", p.crop_width, 1, 65536));
    } else if (size != nullptr && size->is_array()) {
        const auto sides = pair_of(config, "crop_size");
        p.crop_height = sides[0];
        p.crop_width = sides[1];
    } else if (size != nullptr) {
        p.crop_height = p.crop_width = static_cast<int32_t>(config.integer("crop_size", 0, 1, 65536));
    }
}

/** Resolutions of LLaVA-NeXT. The processor cuts by its own list and the model counts by that of config.json. */
void read_pinpoints(const sdk::ComponentConfig& component, PreprocessConfig& p) {
    const sdk::Config& config = component.preprocessor;
    const nlohmann::json* points = config.find("image_grid_pinpoints");
    const nlohmann::json* counted = component.model.find("image_grid_pinpoints");
    if (points != nullptr && counted != nullptr) {
        const auto sorted = [](const nlohmann::json& list) {
            std::vector<nlohmann::json> members(list.begin(), list.end());
            std::sort(members.begin(), members.end());
            return members;
        };
        if (sorted(*points) != sorted(*counted))
            throw sdk::invalid_argument(config.path("image_grid_pinpoints") + ": " + points->dump() +
                                        " differs from config.json's " + counted->dump() +
                                        "; the model was made for one list, give it in both files");
    }
    if (points == nullptr) points = counted;
    const nlohmann::json defaults = {{336, 672}, {672, 336}, {672, 672}, {1008, 336}, {336, 1008}};
    for (const auto& point : points != nullptr ? *points : defaults) {
        if (!point.is_array() || point.size() != 2 || !point[0].is_number_integer() || !point[1].is_number_integer() ||
            point[0] < 1 || point[1] < 1 || point[0] > 65536 || point[1] > 65536)
            throw sdk::invalid_argument(config.path("image_grid_pinpoints") +
                                        ": expected pairs of height and width, found " + point.dump());
        p.pinpoints.emplace_back(point[0].get<int32_t>(), point[1].get<int32_t>());
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
    const Kind& kind = kind_of(component, tower);
    PreprocessConfig p;
    p.cut = kind.cut;
    p.resize = flag(config, "do_resize", true);
    p.filter = static_cast<int32_t>(config.integer("resample", kind.filter, 0, 5));
    read_size(config, kind, tower, p);
    read_crop(config, kind, tower, p);
    p.pad_to_square = tower.pad_to_square || (kind.pads && flag(config, "do_pad", false));
    p.rescale = config.get("rescale_factor", 1.0 / 255.0);  // files have it even where it is not used
    if (!flag(config, "do_rescale", true)) p.rescale = 1.0;
    const auto mean = statistics(config, "image_mean", kind.clip_statistics ? kClipMean : kHalf);
    const auto deviation = statistics(config, "image_std", kind.clip_statistics ? kClipStd : kHalf);
    const auto colour = config.list<double>("image_mean", {mean.begin(), mean.end()});  // double, as Python has it
    for (size_t i = 0; i < 3; ++i)
        p.pad_colour[i] = static_cast<uint8_t>(std::clamp(colour[colour.size() == 3 ? i : 0] * 255.0, 0.0, 255.0));
    if (flag(config, "do_normalize", true)) {
        p.mean = mean;
        p.std = deviation;
    }
    if (*std::min_element(p.std.begin(), p.std.end()) <= 0)
        throw sdk::invalid_argument(config.path("image_std") + ": must be positive");
    if (kind.cut == Cut::anyres) {
        read_pinpoints(component, p);
    } else if (kind.cut == Cut::tiles) {
        p.min_tiles = static_cast<int32_t>(config.integer("min_patches", 1, 1, 1024));
        p.max_tiles = static_cast<int32_t>(config.integer("max_patches", 12, 1, 1024));
        const bool tiles = flag(config, "crop_to_patches", false) || tower.always_tiles;
        if (!tiles || p.max_tiles == 1) p.cut = Cut::single;
    } else if (kind.cut == Cut::bounded) {
        p.split = flag(config, "do_image_splitting", false);
    } else if (kind.cut == Cut::splitting) {
        p.split = flag(config, "do_image_splitting", true);
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
    if (flag(config, "do_pad", false)) config.expect("pad_size", nlohmann::json());
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
