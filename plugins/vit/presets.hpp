/** @file presets.hpp
 *  One tower per `model_type`: tensor names, switches, and the defaults that its configuration class of transformers
 * gives to keys that config.json leaves out.
 */
#pragma once
#include <string>

#include "config.hpp"

namespace vlm::vit {

/** A tower before its configuration is read. */
struct Preset {
    VitConfig config;
    const char* hidden_key = "hidden_size";
    const char* layers_key = "num_hidden_layers";
    const char* heads_key = "num_attention_heads";
    const char* channels_key = "num_channels";
    const char* activation = "gelu";
    double mlp_ratio = 0;  ///< The MLP's width is a multiple of the hidden size instead of a key.
};

/** The preset of `model_type`. Throws INVALID_ARGUMENT that lists the known ones. */
Preset preset_of(const std::string& model_type);

}  // namespace vlm::vit
