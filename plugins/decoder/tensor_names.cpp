/** @file tensor_names.cpp
 *  Tables, one function per family.
 */
#include "tensor_names.hpp"

namespace vlm::decoder {
namespace {

LayerNames llama() {
    LayerNames n;
    n.attention_norm = "input_layernorm";
    n.mlp_norm = "post_attention_layernorm";
    n.q = "self_attn.q_proj";
    n.k = "self_attn.k_proj";
    n.v = "self_attn.v_proj";
    n.out = "self_attn.o_proj";
    n.q_norm = "self_attn.q_norm";
    n.k_norm = "self_attn.k_norm";
    n.gate = "mlp.gate_proj";
    n.up = "mlp.up_proj";
    n.down = "mlp.down_proj";
    return n;
}

LayerNames gemma2() {
    LayerNames n = llama();
    n.post_attention_norm = "post_attention_layernorm";
    n.mlp_norm = "pre_feedforward_layernorm";
    n.post_mlp_norm = "post_feedforward_layernorm";
    return n;
}

LayerNames phi3() {
    LayerNames n = llama();
    n.qkv = "self_attn.qkv_proj";
    n.gate_up = "mlp.gate_up_proj";
    return n;
}

LayerNames opt() {
    LayerNames n = llama();
    n.attention_norm = "self_attn_layer_norm";
    n.mlp_norm = "final_layer_norm";
    n.out = "self_attn.out_proj";
    n.up = "fc1";
    n.down = "fc2";
    return n;
}

LayerNames kosmos2() {
    LayerNames n = opt();
    n.inner_norm = "self_attn.inner_attn_ln";
    n.up = "ffn.fc1";
    n.mlp_inner_norm = "ffn.ffn_layernorm";
    n.down = "ffn.fc2";
    return n;
}

LayerNames persimmon() {
    LayerNames n = llama();
    n.qkv = "self_attn.query_key_value";
    n.out = "self_attn.dense";
    n.q_norm = "self_attn.q_layernorm";
    n.k_norm = "self_attn.k_layernorm";
    n.up = "mlp.dense_h_to_4h";
    n.down = "mlp.dense_4h_to_h";
    return n;
}

/** nn.MultiheadAttention's names when it has biases, one bias-free linear layer otherwise. */
LayerNames early_fusion(bool biases) {
    LayerNames n;
    n.attention_norm = "norm1";
    n.mlp_norm = "norm2";
    n.qkv = biases ? "attn.in_proj" : "qkv";
    n.out = biases ? "attn.out_proj" : "out_proj";
    n.up = "ffn.0";
    n.down = biases ? "ffn.3" : "ffn.2";
    return n;
}

}  // namespace

LayerNames layer_names(const DecoderConfig& config) {
    switch (config.naming) {
        case Naming::llama:
            return config.placement == NormPlacement::both ? gemma2() : llama();
        case Naming::phi3:
            return phi3();
        case Naming::opt:
            return opt();
        case Naming::kosmos2:
            return kosmos2();
        case Naming::persimmon:
            return persimmon();
        case Naming::early_fusion:
            return early_fusion(config.qkv_bias);
    }
    return {};
}

LayerNames cross_names() {
    LayerNames n = llama();
    n.q = "cross_attn.q_proj";
    n.k = "cross_attn.k_proj";
    n.v = "cross_attn.v_proj";
    n.out = "cross_attn.o_proj";
    n.q_norm = "cross_attn.q_layer_norm";
    n.k_norm = "cross_attn.k_layer_norm";
    return n;
}

ModelNames model_names(const DecoderConfig& config) {
    ModelNames n;
    switch (config.naming) {
        case Naming::llama:
        case Naming::phi3:
            n.extra_embedding = "embed_tokens.additional_embedding";
            n.extra_head = "lm_head.additional_fc";
            break;
        case Naming::opt:
            n.positions = "embed_positions";
            n.final_norm = "final_layer_norm";
            break;
        case Naming::kosmos2:
            n.final_norm = "layer_norm";
            break;
        case Naming::persimmon:
            n.final_norm = "final_layernorm";
            break;
        case Naming::early_fusion:
            n.embedding = "text_embed";
            n.positions = "pos_embed";
            n.modality = "modality_embed";
            n.head = "head";
            break;
    }
    return n;
}

}  // namespace vlm::decoder
