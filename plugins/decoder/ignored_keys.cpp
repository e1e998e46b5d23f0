/** @file ignored_keys.cpp
 *  The list is explicit: to ignore whatever is unknown would compute a model with an unknown feature wrongly, silently.
 */
#include "ignored_keys.hpp"

#include <algorithm>
#include <string_view>

namespace vlm::decoder {
namespace {

/** Bookkeeping, training and sampling settings. */
constexpr std::string_view kNoEffect[] = {
    "name_or_path",
    "num_labels",
    "_attn_implementation_internal",
    "_experts_implementation",
    "_output_attentions",
    "output_past",
    "tie_encoder_decoder",
    "init_std",
    "pretraining_tp",
    "use_flash_attention",
    "use_flash_attention_2",
    "embd_layer_norm",
    "min_p",
    "epsilon_cutoff",
    "eta_cutoff",
    "max_new_tokens",
    "ignore_index",
    "pruned_heads",
    "keys_to_ignore_at_inference",
    "max_sequence_length",
    "neftune_noise_alpha",
    "is_llama_config",
    "transformers.js_config",
    "moe_config",
    "unsloth_fixed",
    "unsloth_version",
    "cache_implementation",
    "use_sliding_window",
    "max_window_layers",
    "is_decoder",
};

/** Keys of the other stages, in files that keep the language model at the top level. */
constexpr std::string_view kOtherStages[] = {
    "vision_config",
    "perceiver_config",
    "text_config",
    "use_resampler",
    "pixel_shuffle_factor",
    "patch_size",
    "num_channels",
    "image_size",
    "vision_feature_layer",
    "vision_feature_select_strategy",
    "image_seq_length",
    "num_image_tokens",
    "projection_dim",
    "projector_hidden_act",
    "multimodal_projector_bias",
    "alpha_initializer",
    "alphas_initializer_range",
    "alpha_type",
    "freeze_text_layers",
    "freeze_text_module_exceptions",
    "freeze_lm_head",
    "freeze_vision_layers",
    "freeze_vision_module_exceptions",
    "freeze_vision",
    "unfreeze_vision",
    "vision_embed_dim",
    "vision_image_size",
    "vision_intermediate_size",
    "vision_layers",
    "vision_model_name",
};

/** Features that this decoder lacks in some or all families: their keys pass only with a value that means "off". */
constexpr std::string_view kMustBeOff[] = {
    "is_encoder_decoder",
    "add_cross_attention",
    "cross_attention_hidden_size",
    "quantization_config",
    "attention_bias",
    "mlp_bias",
    "use_bidirectional_attention",
    "sliding_window",
    "layer_types",
    "rope_scaling",
    "rope_parameters",
    "qk_layer_norms",
    "rope_interleaved",
};

template <size_t N>
bool listed(const std::string_view (&list)[N], std::string_view key) {
    return std::find(std::begin(list), std::end(list), key) != std::end(list);
}

/** Dropout is off in inference; ids of special tokens belong to the tokenizer and to sampling. */
bool harmless_by_name(std::string_view key) {
    return key.ends_with("dropout") || key.ends_with("dropout_prob") || key.ends_with("pdrop") || key == "layerdrop" ||
           key.ends_with("_token_id") || key.ends_with("_token_index") || key.ends_with("_token_ids");
}

bool is_off(const nlohmann::json& value) {
    return value.is_null() || value == false || value == 0 || (value.is_array() && value.empty());
}

}  // namespace

void ignore_harmless(const sdk::Config& section) {
    for (const auto& [key, value] : section.json().items()) {
        bool off = (listed(kMustBeOff, key) || key.starts_with("use_")) && is_off(value);
        if (off || listed(kNoEffect, key) || listed(kOtherStages, key) || harmless_by_name(key)) {
            section.ignore({key.c_str()});
        }
    }
}

}  // namespace vlm::decoder
