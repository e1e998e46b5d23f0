/** @file timm.cpp
 *  See timm.hpp.
 */
#include "timm.hpp"

#include <algorithm>
#include <string_view>

namespace vlm::vit {
namespace {

using nlohmann::json;

/** Arguments of `timm.create_model` by the beginning of a model id; the rest names size and training. */
struct Known {
    std::string_view id;
    int hidden, depth, heads, patch, registers;
    bool class_token;
};

constexpr Known kKnown[] = {
    {"vit_small_patch14_reg4_dinov2", 384, 12, 6, 14, 4, true},
    {"vit_base_patch14_reg4_dinov2", 768, 12, 12, 14, 4, true},
    {"vit_large_patch14_reg4_dinov2", 1024, 24, 16, 14, 4, true},
    {"vit_base_patch14_dinov2", 768, 12, 12, 14, 0, true},
    {"vit_large_patch14_dinov2", 1024, 24, 16, 14, 0, true},
    {"vit_base_patch16_siglip", 768, 12, 12, 16, 0, false},
    {"vit_large_patch16_siglip", 1024, 24, 16, 16, 0, false},
    {"vit_so400m_patch14_siglip", 1152, 27, 16, 14, 0, false},
};

/** Weight prefixes of the first and the second tower. */
constexpr const char* kPrefixes[] = {"featurizer", "fused_featurizer"};

Known known_tower(const std::string& id) {
    std::string list;
    for (const Known& known : kKnown) {
        if (id.starts_with(known.id)) return known;
        list += (list.empty() ? "" : ", ") + std::string(known.id);
    }
    throw sdk::invalid_argument("config: timm_model_ids: '" + id + "' is not known; known are " + list);
}

/** Entry `i` of a list in preprocessor_config.json. */
const json& entry(const sdk::Config& config, const std::string& key, size_t i) {
    const json* list = config.find(key);
    if (list == nullptr || !list->is_array() || list->size() <= i)
        throw sdk::invalid_argument(config.path(key) + ": expected an entry for each vision tower");
    return (*list)[i];
}

int filter_of(const std::string& name, const std::string& path) {
    constexpr std::pair<std::string_view, int> kFilters[] = {
        {"nearest", VLM_RESAMPLE_NEAREST}, {"bilinear", VLM_RESAMPLE_BILINEAR}, {"bicubic", VLM_RESAMPLE_BICUBIC},
        {"lanczos", VLM_RESAMPLE_LANCZOS}, {"box", VLM_RESAMPLE_BOX},           {"hamming", VLM_RESAMPLE_HAMMING}};
    for (const auto& [text, filter] : kFilters)
        if (text == name) return filter;
    throw sdk::invalid_argument(path + ": '" + name + "' is not supported");
}

json tower_config(const sdk::Config& config, size_t i) {
    const Known known = known_tower(config.list<std::string>("timm_model_ids", {}).at(i));
    json tower = {
        {"model_type", "timm_vit"},         {"vision_feature_layer", -2},         {"hidden_size", known.hidden},
        {"num_hidden_layers", known.depth}, {"num_attention_heads", known.heads}, {"patch_size", known.patch},
        {"registers", known.registers},     {"class_token", known.class_token},   {"hidden_act", "gelu"}};
    const auto sizes = config.list<int32_t>("image_sizes", {224, 224});
    if (sizes.size() <= i) throw sdk::invalid_argument(config.path("image_sizes") + ": expected a size per tower");
    tower["image_size"] = sizes[i];
    if (config.has("timm_geometry")) {
        const auto own = config.section("timm_geometry");
        tower["patch_size"] = own.get("patch_size", known.patch);
        tower["num_hidden_layers"] = own.get("depth", known.depth);
        tower["num_attention_heads"] = own.get("num_heads", known.heads);
        if (known.registers > 0) tower["registers"] = own.get("num_registers", known.registers);
        own.ignore({"num_registers"});
        const auto dims = own.section("dims");
        for (const char* prefix : kPrefixes) dims.ignore({prefix});
        tower["hidden_size"] = dims.get(kPrefixes[i], known.hidden);
    }
    const json* activations = config.find("timm_override_act_layers");
    if (activations != nullptr && activations->is_array() && activations->size() > i && (*activations)[i].is_string())
        tower["hidden_act"] = (*activations)[i];
    return tower;
}

json tower_preprocessor(const sdk::Config& config, const sdk::Config& pre, size_t i) {
    const json& size = entry(pre, "input_sizes", i);
    if (!size.is_array() || size.size() != 3 || !size[1].is_number_integer() || !size[2].is_number_integer())
        throw sdk::invalid_argument(pre.path("input_sizes") + ": expected [channels, height, width] per tower");
    const json& filter = entry(pre, "interpolations", i);
    json own = {{"image_processor_type", "SiglipImageProcessor"},
                {"image_mean", entry(pre, "means", i)},
                {"image_std", entry(pre, "stds", i)},
                {"resample", filter_of(filter.is_string() ? filter.get<std::string>() : filter.dump(),
                                       pre.path("interpolations"))}};
    const json box = {{"height", size[1]}, {"width", size[2]}};
    const bool crop = pre.choice<bool>("image_resize_strategy", config.get("image_resize_strategy", "resize-naive"),
                                       {{"resize-naive", false}, {"resize-crop", true}});
    own["do_center_crop"] = crop;
    if (crop) {
        own["size"] = {{"shortest_edge", std::min(size[1].get<int32_t>(), size[2].get<int32_t>())}};
        own["crop_size"] = box;
    } else {
        own["size"] = box;
    }
    return own;
}

}  // namespace

std::vector<TowerSpec> timm_towers(const sdk::ComponentConfig& c) {
    const sdk::Config& config = c.config;
    const size_t count = config.list<std::string>("timm_model_ids", {}).size();
    const bool fused = config.get("use_fused_vision_backbone", count == 2);
    if (count != (fused ? 2U : 1U))
        throw sdk::invalid_argument(config.path("timm_model_ids") + ": expected " + (fused ? "two ids" : "one id") +
                                    ", found " + std::to_string(count));
    std::vector<TowerSpec> towers;
    for (size_t i = 0; i < count; ++i) {
        const std::string path = "vision tower " + std::string(kPrefixes[i]);
        towers.push_back({{sdk::Config::parse(tower_config(config, i).dump(), path), c.model,
                           sdk::Config::parse(tower_preprocessor(config, c.preprocessor, i).dump(), path), c.host},
                          std::string(kPrefixes[i]) + "."});
    }
    config.get("image_resize_strategy", "");
    config.refuse_unknown();
    // The tvf_ keys repeat the others for torchvision.
    c.preprocessor.ignore({"use_fused_vision_backbone", "image_processor_type", "processor_class", "auto_map",
                           "tvf_crop_params", "tvf_letterbox_fill", "tvf_normalize_params", "tvf_resize_params"});
    c.preprocessor.expect("tvf_do_letterbox", false);
    c.preprocessor.refuse_unknown();
    return towers;
}

}  // namespace vlm::vit
