/** @file config.cpp
 *  See config.hpp.
 */
#include "config.hpp"

#include <algorithm>
#include <tuple>

#include "presets.hpp"

namespace vlm::vit {
namespace {

constexpr int64_t kMaxSize = int64_t{1} << 20;

/** `key` as one number or as [height, width]. */
std::pair<int32_t, int32_t> read_pair(const sdk::Config& config, const char* key, int32_t height, int32_t width) {
    const auto sizes = config.list<int32_t>(key, {height, width});
    if (sizes.empty() || sizes.size() > 2 || *std::min_element(sizes.begin(), sizes.end()) < 1)
        throw sdk::invalid_argument(config.path(key) + ": expected a size or [height, width], each at least 1");
    return {sizes.front(), sizes.back()};
}

void read_geometry(const sdk::Config& config, const Preset& preset, VitConfig& c) {
    c.hidden = config.integer(preset.hidden_key, c.hidden, 1, kMaxSize);
    c.layers = static_cast<int32_t>(config.integer(preset.layers_key, c.layers, 1, 4096));
    c.heads = static_cast<int32_t>(config.integer(preset.heads_key, c.heads, 1, 4096));
    c.channels = static_cast<int32_t>(config.integer(preset.channels_key, c.channels, 3, 3));
    if (c.hidden % c.heads != 0)
        throw sdk::invalid_argument(config.path(preset.hidden_key) + ": " + std::to_string(c.hidden) +
                                    " is no multiple of " + std::to_string(c.heads) + " heads");
    if (preset.mlp_ratio > 0)
        c.intermediate =
            static_cast<int64_t>(static_cast<double>(c.hidden) * config.get("mlp_ratio", preset.mlp_ratio));
    else
        c.intermediate = config.integer("intermediate_size", c.intermediate, c.intermediate == 0 ? 0 : 1, kMaxSize);
    std::tie(c.image_height, c.image_width) = read_pair(config, "image_size", c.image_height, c.image_width);
    std::tie(c.patch_height, c.patch_width) = read_pair(config, "patch_size", c.patch_height, c.patch_width);
    c.activation = sdk::activation_of(config.get("hidden_act", preset.activation), config.path("hidden_act"));
    c.norm_eps = config.get("layer_norm_eps", c.norm_eps);
}

/** Keys that only some towers have. */
void read_switches(const sdk::Config& config, const std::string& type, VitConfig& c) {
    if (type == "internvl_vision") {
        config.ignore({"attention_bias", "layer_scale_init_value", "use_mask_token"});  // The weights say it.
        c.qk_norm = config.get("use_qk_norm", false);
        c.rms_norm = config.choice<bool>("norm_type", "layer_norm", {{"layer_norm", false}, {"rms_norm", true}});
        c.norm_last = !config.get("use_mean_pooling", true);
        if (!config.get("use_absolute_position_embeddings", true)) c.positions = Positions::none;
    } else if (type == "intern_vit_6b") {
        config.expect("pad2square", false);
        c.dynamic.given = config.has("dynamic_image_size");
        c.dynamic.tiles = config.get("dynamic_image_size", false);
        c.dynamic.thumbnail = config.get("use_thumbnail", false);
        c.dynamic.least = static_cast<int32_t>(config.integer("min_dynamic_patch", 1, 1, 1024));
        c.dynamic.most = static_cast<int32_t>(config.integer("max_dynamic_patch", 6, c.dynamic.least, 1024));
        config.ignore({"qkv_bias", "use_flash_attn", "drop_path_rate"});
        // The files name the parameters of experts that the tower does not have.
        config.expect("use_moe", false);
        config.ignore({"capacity_factor", "eval_capacity_factor", "laux_allreduce", "moe_coeff_ratio",
                       "moe_intermediate_size", "moe_output_scale", "noisy_gate_policy", "num_experts",
                       "num_routed_experts", "num_shared_experts", "shared_expert_intermediate_size", "use_residual",
                       "use_rts", "use_weighted_residual"});
        c.qk_norm = config.get("qk_normalization", true);
        c.rms_norm = config.choice<bool>("norm_type", "rms_norm", {{"layer_norm", false}, {"rms_norm", true}});
    } else if (c.rotary) {
        config.expect("in_chans", 3);
        config.ignore({"spatial_patch_size", "tokens_per_second"});
        if (!c.rms_norm)
            config.ignore({"hidden_size"});  // In Qwen2-VL the width of the language model: the connector's.
        config.ignore({"out_hidden_size"});
        c.temporal = static_cast<int32_t>(config.integer("temporal_patch_size", c.temporal, 1, 64));
        c.merge = static_cast<int32_t>(config.integer("spatial_merge_size", c.merge, 1, 64));
        const sdk::Config rope = config.section("rope_parameters");
        c.rope_theta = rope.get("rope_theta", c.rope_theta);
        rope.expect<std::string>("rope_type", "axial");
        c.norm_eps = 1e-6F;
        if (c.window > 0) {
            c.window = static_cast<int32_t>(config.integer("window_size", c.window, 1, kMaxSize));
            c.full_layers = config.list<int32_t>("fullatt_block_indexes", c.full_layers);
        }
        if (c.head_dim() % 4 != 0)
            throw sdk::invalid_argument(
                "config: rotary positions in two dimensions need heads of a multiple of 4 elements, found " +
                std::to_string(c.head_dim()));
    } else if (type == "timm_vit") {
        c.class_token = config.get("class_token", false);
        c.registers = static_cast<int32_t>(config.integer("registers", 0, 0, 1024));
    }
    if (type == "idefics_vision") {
        config.expect("image_num_channels", 3);
        config.ignore({"vision_model_name"});  // Where the weights came from.
    }
    if (c.pooling == Pooling::attention_head && !config.get("vision_use_head", true)) c.pooling = Pooling::none;
    // What hub files carry in this section without any effect: keys of other parts, and how the tower was trained.
    config.ignore({"vision_use_head", "projection_dim", "qkv_bias", "vocab_size", "num_image_tokens",
                   "projector_hidden_act", "num_positions", "max_image_size", "size", "use_base_siglip"});
}

void read_features(const sdk::Config& config, const std::string& type, VitConfig& c) {
    const bool chosen = config.has("vision_feature_layer");
    for (const int32_t layer : config.list<int32_t>("vision_feature_layer", {})) {
        const int32_t index = layer < 0 ? layer + c.layers + 1 : layer;
        if (index < 0 || index > c.layers)
            throw sdk::invalid_argument(config.path("vision_feature_layer") + ": " + std::to_string(layer) +
                                        " is beyond the " + std::to_string(c.layers) + " layers of the tower");
        c.feature_layers.push_back(index);
    }
    // InternVL means by -1 what the tower returns, which is normed when it does not pool by the mean.
    const bool returned = config.has("vision_feature_layer") &&
                          config.list<int32_t>("vision_feature_layer", {}) == std::vector<int32_t>{-1};
    if (type == "internvl_vision" && c.norm_last && returned) c.feature_layers.clear();
    // LLaVA's "default" leaves out the first token; without that key a tower gives all that it has.
    c.drop_prefix = config.choice<bool>("vision_feature_select_strategy", chosen && c.class_token ? "default" : "full",
                                        {{"default", true}, {"patch", true}, {"full", false}, {"cls_patch", false}});
    if (c.drop_prefix && c.prefix() == 0)
        throw sdk::invalid_argument(config.path("vision_feature_select_strategy") +
                                    ": 'default' leaves out the first token, and a '" + type +
                                    "' tower has no class token: it would be a patch of the picture; expected 'full'");
    c.pooled = c.pooling != Pooling::none && config.get("pooled", c.pooling == Pooling::class_token && !chosen &&
                                                                      !config.has("vision_feature_select_strategy"));
    c.always_tiles = config.get("always_tiles", false);
    c.pad_to_square = config.get("pad_to_square", false);
    if (c.pad_to_square || config.has("image_aspect_ratio"))
        c.pad_to_square = config.choice<bool>("image_aspect_ratio", c.pad_to_square ? "pad" : "square",
                                              {{"pad", true}, {"square", false}, {"anyres", false}});
}

}  // namespace

VitConfig read_config(const sdk::ComponentConfig& component) {
    const sdk::Config& config = component.config;
    const std::string type = config.get("model_type", "clip_vision_model");
    const Preset preset = preset_of(type);
    VitConfig c = preset.config;
    read_geometry(config, preset, c);
    read_switches(config, type, c);
    read_features(config, type, c);
    config.refuse_unknown();
    return c;
}

}  // namespace vlm::vit
