/** @file presets.cpp
 *  See presets.hpp. Names and defaults are those of the configuration and modelling files of transformers 5.23.
 */
#include "presets.hpp"

#include <functional>
#include <utility>

namespace vlm::vit {
namespace {

/** CLIP (arXiv 2103.00020), also inside LLaVA, Kosmos-2 and the first Idefics. The final norm is for the pooled token
 * only. */
Preset clip() {
    Preset p;
    p.config.class_token = true;
    p.config.patch_height = p.config.patch_width = 32;
    p.config.pooling = Pooling::class_token;
    p.config.names.pre_norm = "pre_layrnorm";  // The spelling of the checkpoints.
    p.activation = "quick_gelu";
    return p;
}

Preset kosmos2() {
    Preset p = clip();
    p.config.hidden = 1024;
    p.config.intermediate = 4096;
    p.config.layers = 24;
    p.config.heads = 16;
    p.config.patch_height = p.config.patch_width = 14;
    return p;
}

Preset idefics() {
    Preset p = clip();
    p.config.intermediate = 5120;
    p.config.layers = 32;
    p.config.heads = 16;
    p.config.patch_height = p.config.patch_width = 14;
    p.hidden_key = "embed_dim";
    p.activation = "gelu";
    p.config.one_size = true;  // the reference stretches by (n + 0.1) / m, which no other tower does
    return p;
}

/** SigLIP (arXiv 2303.15343): no class token, and the last hidden state is behind the final norm. */
Preset siglip() {
    Preset p;
    p.config.norm_eps = 1e-6F;
    p.config.norm_last = true;
    p.config.pooling = Pooling::attention_head;
    p.activation = "gelu_pytorch_tanh";
    return p;
}

Preset idefics2() {
    Preset p = siglip();
    p.config.patch_height = p.config.patch_width = 32;
    p.config.positions = Positions::fraction;
    p.config.pooling = Pooling::none;
    return p;
}

Preset idefics3() {
    Preset p = idefics2();
    p.config.hidden = 1152;
    p.config.heads = 16;
    return p;
}

/** EVA (arXiv 2211.07636) as in BLIP-2 and InstructBLIP: fused projections whose keys have no bias. */
Preset eva() {
    Preset p;
    p.config.class_token = true;
    p.config.hidden = 1408;
    p.config.intermediate = 6144;
    p.config.layers = 39;
    p.config.heads = 16;
    p.config.patch_height = p.config.patch_width = 14;
    p.config.norm_eps = 1e-6F;
    p.config.norm_last = true;
    p.config.names.positions = "embeddings.position_embedding";
    p.config.names.qkv = "self_attn.qkv";
    p.config.names.out = "self_attn.projection";
    return p;
}

/** InternViT (arXiv 2312.14238) as transformers writes it. */
Preset internvl() {
    Preset p;
    VitConfig& c = p.config;
    c.class_token = true;
    c.hidden = 1024;
    c.intermediate = 4096;
    c.layers = 24;
    c.heads = 16;
    c.image_height = c.image_width = 448;
    c.patch_height = c.patch_width = 14;
    c.norm_eps = 1e-6F;
    c.names.patch = "embeddings.patch_embeddings.projection";
    c.names.class_token = "embeddings.cls_token";
    c.names.positions = "embeddings.position_embeddings";
    c.names.layer = "encoder.layer.";
    c.names.norm1 = "layernorm_before";
    c.names.norm2 = "layernorm_after";
    c.names.q = "attention.q_proj";
    c.names.k = "attention.k_proj";
    c.names.v = "attention.v_proj";
    c.names.q_norm = "attention.q_norm";
    c.names.k_norm = "attention.k_norm";
    c.names.out = "attention.projection_layer";
    c.names.scale1 = "lambda_1";
    c.names.scale2 = "lambda_2";
    c.names.final_norm = "layernorm";
    return p;
}

/** InternViT as its authors write it. */
Preset intern_vit() {
    Preset p = internvl();
    VitConfig& c = p.config;
    c.hidden = 3200;
    c.intermediate = 12800;
    c.layers = 48;
    c.heads = 25;
    c.image_height = c.image_width = 224;
    c.rms_norm = true;
    c.qk_norm = true;
    c.names = Names();
    c.names.positions = "embeddings.position_embedding";
    c.names.norm1 = "norm1";
    c.names.norm2 = "norm2";
    c.names.qkv = "attn.qkv";
    c.names.q_norm = "attn.q_norm";
    c.names.k_norm = "attn.k_norm";
    c.names.out = "attn.proj";
    c.names.scale1 = "ls1";
    c.names.scale2 = "ls2";
    return p;
}

/** Qwen2-VL (arXiv 2409.12191): rotary positions in two dimensions, patches in blocks for the merger behind. */
Preset qwen2_vl() {
    Preset p;
    VitConfig& c = p.config;
    c.hidden = 1280;
    c.layers = 32;
    c.heads = 16;
    c.patch_height = c.patch_width = 14;
    c.temporal = 2;
    c.merge = 2;
    c.positions = Positions::none;
    c.rotary = true;
    c.norm_eps = 1e-6F;
    c.names.patch = "patch_embed.proj";
    c.names.layer = "blocks.";
    c.names.norm1 = "norm1";
    c.names.norm2 = "norm2";
    c.names.qkv = "attn.qkv";
    c.names.out = "attn.proj";
    c.names.final_norm = "";
    p.hidden_key = "embed_dim";
    p.layers_key = "depth";
    p.heads_key = "num_heads";
    p.channels_key = "in_channels";
    p.activation = "quick_gelu";
    p.mlp_ratio = 4;
    return p;
}

/** Qwen2.5-VL (arXiv 2502.13923): RMS norms, a gated MLP, and windows in most layers. */
Preset qwen2_5_vl() {
    Preset p = qwen2_vl();
    VitConfig& c = p.config;
    c.hidden = 3584;
    c.intermediate = 3420;
    c.rms_norm = true;
    c.gated = true;
    c.window = 112;
    c.full_layers = {7, 15, 23, 31};
    c.names.gate = "mlp.gate_proj";
    c.names.fc1 = "mlp.up_proj";
    c.names.fc2 = "mlp.down_proj";
    p.hidden_key = "hidden_size";
    p.activation = "silu";
    p.mlp_ratio = 0;
    return p;
}

/** timm's VisionTransformer: DINOv2 with registers and SigLIP in Prismatic and OpenVLA. Every key is given by the
 * recipe. */
Preset timm() {
    Preset p;
    VitConfig& c = p.config;
    c.norm_eps = 1e-6F;
    c.norm_last = true;
    c.intermediate = 0;
    c.names.patch = "patch_embed.proj";
    c.names.class_token = "cls_token";
    c.names.registers = "reg_token";
    c.names.positions = "pos_embed";
    c.names.layer = "blocks.";
    c.names.norm1 = "norm1";
    c.names.norm2 = "norm2";
    c.names.qkv = "attn.qkv";
    c.names.out = "attn.proj";
    c.names.scale1 = "ls1";
    c.names.scale2 = "ls2";
    c.names.final_norm = "norm";
    return p;
}

}  // namespace

Preset preset_of(const std::string& model_type) {
    static const std::pair<const char*, Preset (*)()> kPresets[] = {
        {"clip_vision_model", clip},
        {"clip", clip},
        {"kosmos_2_vision_model", kosmos2},
        {"idefics_vision", idefics},
        {"siglip_vision_model", siglip},
        {"siglip", siglip},
        {"idefics2_vision", idefics2},
        {"idefics2", idefics2},
        {"idefics3_vision", idefics3},
        {"idefics3", idefics3},
        {"smolvlm_vision", idefics3},
        {"smolvlm", idefics3},
        {"blip_2_vision_model", eva},
        {"instructblip_vision_model", eva},
        {"internvl_vision", internvl},
        {"intern_vit_6b", intern_vit},
        {"qwen2_vl_vision", qwen2_vl},
        {"qwen2_vl", qwen2_vl},
        {"qwen2_5_vl_vision", qwen2_5_vl},
        {"qwen2_5_vl", qwen2_5_vl},
        {"timm_vit", timm},
    };
    std::string known;
    for (const auto& [name, make] : kPresets) {
        if (model_type == name) return make();
        known += (known.empty() ? "" : ", ") + std::string(name);
    }
    throw sdk::invalid_argument("config: model_type: no vision tower '" + model_type + "'; known are " + known);
}

}  // namespace vlm::vit
