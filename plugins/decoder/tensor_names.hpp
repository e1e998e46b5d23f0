/** @file tensor_names.hpp
 *  How families call their tensors. An empty name means that the family has no such tensor.
 */
#pragma once
#include <string>

#include "config.hpp"

namespace vlm::decoder {

/** Names inside one layer, without the layer's prefix and without ".weight". */
struct LayerNames {
    std::string attention_norm, mlp_norm, post_attention_norm, post_mlp_norm;
    std::string q, k, v, qkv, out;
    std::string q_norm, k_norm, inner_norm;
    std::string gate, up, gate_up, mlp_inner_norm, down;
};

/** Names outside the layers. */
struct ModelNames {
    std::string embedding = "embed_tokens";
    std::string extra_embedding;
    std::string positions;
    std::string modality;
    std::string final_norm = "norm";
    std::string head = "lm_head";
    std::string extra_head;
};

LayerNames layer_names(const DecoderConfig& config);
/** Names of the gated cross-attention blocks "gated_cross_attn_layers.N". */
LayerNames cross_names();
ModelNames model_names(const DecoderConfig& config);

}  // namespace vlm::decoder
