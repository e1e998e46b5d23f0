/** @file presets.cpp
 *  One small function per family. A new model of a known family is a line here.
 */
#include "presets.hpp"

#include <vlm/linear.h>

#include <array>
#include <cmath>
#include <utility>
#include <vlm/sdk/error.hpp>

namespace vlm::decoder {
namespace {

struct Sizes {
    int64_t vocab, hidden, intermediate, max_positions;
    int32_t layers, heads, kv_heads, head_dim;
};

DecoderConfig with_sizes(const Sizes& s) {
    DecoderConfig c;
    c.vocab_size = s.vocab;
    c.hidden_size = s.hidden;
    c.intermediate = s.intermediate;
    c.max_positions = s.max_positions;
    c.layers = s.layers;
    c.heads = s.heads;
    c.kv_heads = s.kv_heads;
    c.head_dim = s.head_dim;
    c.activation = VLM_ACT_SILU;
    return c;
}

DecoderConfig llama() {
    return with_sizes({32000, 4096, 11008, 2048, 32, 32, 0, 0});
}
DecoderConfig mistral() {
    return with_sizes({32000, 4096, 14336, 131072, 32, 32, 8, 0});
}

DecoderConfig qwen2() {
    DecoderConfig c = with_sizes({151936, 4096, 22016, 32768, 32, 32, 32, 0});
    c.qkv_bias = true;
    return c;
}

DecoderConfig qwen3() {
    DecoderConfig c = with_sizes({151936, 4096, 22016, 32768, 32, 32, 32, 128});
    c.qk_norm = true;
    return c;
}

DecoderConfig qwen2_vl() {
    DecoderConfig c = with_sizes({152064, 8192, 29568, 32768, 80, 64, 8, 0});
    c.norm_eps = 1e-5f;
    c.qkv_bias = true;
    c.rope.theta = 1000000.0;
    c.rope.mrope_section = {16, 24, 24};
    return c;
}

DecoderConfig phi3() {
    DecoderConfig c = with_sizes({32064, 3072, 8192, 4096, 32, 32, 0, 0});
    c.naming = Naming::phi3;
    c.norm_eps = 1e-5f;
    return c;
}

DecoderConfig gemma() {
    DecoderConfig c = with_sizes({256000, 3072, 24576, 8192, 28, 16, 16, 256});
    c.norm_offset = 1.0f;
    c.activation = VLM_ACT_GELU_TANH;
    c.tie_embeddings = true;
    return c;
}

DecoderConfig gemma2() {
    DecoderConfig c = gemma();
    c.hidden_size = 2304;
    c.intermediate = 9216;
    c.layers = 26;
    c.heads = 8;
    c.kv_heads = 4;
    c.placement = NormPlacement::both;
    c.attention_softcap = 50.0f;
    c.final_softcap = 30.0f;
    return c;
}

DecoderConfig idefics() {
    DecoderConfig c = llama();
    c.cross_interval = 1;
    c.visual_size = 768;
    return c;
}

/** OPT, Kosmos-2 and Persimmon: LayerNorm, biases everywhere, an MLP without a gate. */
DecoderConfig with_layer_norm(DecoderConfig c) {
    c.norm = NormKind::layer;
    c.norm_eps = 1e-5f;
    c.gated = false;
    c.qkv_bias = c.attention_out_bias = c.mlp_bias = true;
    return c;
}

DecoderConfig opt() {
    DecoderConfig c = with_layer_norm(with_sizes({50272, 768, 3072, 2048, 12, 12, 0, 0}));
    c.naming = Naming::opt;
    c.activation = VLM_ACT_RELU;
    c.positions = PositionKind::learned;
    c.position_offset = 2;
    c.tie_embeddings = true;
    return c;
}

DecoderConfig kosmos2() {
    DecoderConfig c = with_layer_norm(with_sizes({65037, 2048, 8192, 2048, 24, 32, 0, 0}));
    c.naming = Naming::kosmos2;
    c.activation = VLM_ACT_GELU;
    c.positions = PositionKind::sinusoidal;
    c.position_offset = 2;
    c.scale_visual = true;
    c.sub_norm = true;
    c.tie_embeddings = true;
    return c;
}

DecoderConfig persimmon() {
    DecoderConfig c = with_layer_norm(with_sizes({262144, 4096, 16384, 16384, 36, 64, 0, 0}));
    c.naming = Naming::persimmon;
    c.activation = VLM_ACT_RELU2;
    c.rope.partial = 0.5;
    c.qk_norm = true;
    return c;
}

/** The early-fusion models write every key, so the sizes here are only placeholders that a file replaces. */
DecoderConfig early_fusion() {
    DecoderConfig c = with_layer_norm(with_sizes({0, 0, 0, 0, 0, 0, 0, 0}));
    c.naming = Naming::early_fusion;
    c.activation = VLM_ACT_GELU;
    c.positions = PositionKind::learned;
    c.mask = MaskKind::prefix;
    return c;
}

DecoderConfig modal_early_fusion() {
    DecoderConfig c = early_fusion();
    c.modality_embedding = true;
    return c;
}

using Maker = DecoderConfig (*)();
constexpr std::array<std::pair<const char*, Maker>, 18> kPresets{{
    {"llama", llama},
    {"mistral", mistral},
    {"qwen2", qwen2},
    {"qwen3", qwen3},
    {"qwen2_vl", qwen2_vl},
    {"qwen2_vl_text", qwen2_vl},
    {"qwen2_5_vl", qwen2_vl},
    {"qwen2_5_vl_text", qwen2_vl},
    {"phi3", phi3},
    {"gemma", gemma},
    {"gemma2", gemma2},
    {"idefics", idefics},
    {"opt", opt},
    {"kosmos_2_text_model", kosmos2},
    {"persimmon", persimmon},
    {"early_fusion_vlm", early_fusion},
    {"early_fusion_interleaved", modal_early_fusion},
    {"hybrid_early_fusion", modal_early_fusion},
}};

}  // namespace

DecoderConfig preset(const std::string& model_type) {
    std::string known;
    for (const auto& [name, make] : kPresets) {
        if (model_type == name) {
            DecoderConfig config = make();
            config.model_type = model_type;
            return config;
        }
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    throw sdk::Error(VLM_STATUS_INVALID_ARGUMENT, "config.json: \"model_type\" is \"" + model_type +
                                                      "\", which this decoder does not know. It knows: " + known + ".");
}

std::string default_text_type(const std::string& outer) {
    constexpr std::array<std::pair<const char*, const char*>, 13> kDefaults{{
        {"llava", "llama"},
        {"llava_next", "llama"},
        {"instructblip", "opt"},
        {"openvla", "llama"},
        {"idefics3", "llama"},
        {"idefics2", "mistral"},
        {"internvl", "qwen2"},
        {"blip-2", "opt"},
        {"paligemma", "gemma"},
        {"fuyu", "persimmon"},
        {"kosmos-2", "kosmos_2_text_model"},
        {"qwen2_vl", "qwen2_vl_text"},
        {"qwen2_5_vl", "qwen2_5_vl_text"},
    }};
    for (const auto& [name, text] : kDefaults) {
        if (outer == name) return text;
    }
    return "";
}

}  // namespace vlm::decoder
