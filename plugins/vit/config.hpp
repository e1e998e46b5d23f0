/** @file config.hpp
 *  What a vision tower is, in one normalised form.
 *
 *  CLIP, SigLIP, EVA, InternViT, the Qwen2-VL towers, the Idefics towers and timm's ViT are the same transformer with
 * different switches and tensor names. A preset, chosen by the section's `model_type`, supplies both and the class
 * defaults of the keys that hub checkpoints leave out; the code behind this file knows no model names.
 */
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "vlm/sdk/components.hpp"

namespace vlm::vit {

/** How patches learn where they are. */
enum class Positions {
    none,      ///< Rotary only, or nothing.
    learned,   ///< A table over the grid, resampled bicubically for other grids.
    fraction,  ///< A table indexed by the fraction of the height and width (Idefics2, Idefics3; NaViT, arXiv
               ///< 2307.06304).
};

/** Where the pooled feature comes from. */
enum class Pooling {
    none,
    class_token,     ///< Class token behind the final norm (CLIP).
    attention_head,  ///< Attention of a learned probe (SigLIP).
};

/** Tensor names of a tower; layer names follow `layer` and the index. Empty: the tower has none. */
struct Names {
    std::string patch = "embeddings.patch_embedding";
    std::string class_token = "embeddings.class_embedding";
    std::string registers;
    std::string positions = "embeddings.position_embedding.weight";
    std::string pre_norm;
    std::string layer = "encoder.layers.";
    std::string norm1 = "layer_norm1";
    std::string norm2 = "layer_norm2";
    std::string qkv;  ///< Fused projection; empty: `q`, `k` and `v`.
    std::string q = "self_attn.q_proj";
    std::string k = "self_attn.k_proj";
    std::string v = "self_attn.v_proj";
    std::string q_norm;
    std::string k_norm;
    std::string out = "self_attn.out_proj";
    std::string scale1;  ///< Layer scale behind the attention.
    std::string scale2;  ///< Layer scale behind the MLP.
    std::string fc1 = "mlp.fc1";
    std::string fc2 = "mlp.fc2";
    std::string gate;  ///< Gated MLP: `gate`, `fc1` (up) and `fc2` (down).
    std::string final_norm = "post_layernorm";
};

/** One tower. */
struct VitConfig {
    Names names;
    int64_t hidden = 768;
    int64_t intermediate = 3072;  ///< 0: as the weights have it.
    int32_t layers = 12;
    int32_t heads = 12;
    int32_t channels = 3;
    int32_t image_height = 224;
    int32_t image_width = 224;
    int32_t patch_height = 16;
    int32_t patch_width = 16;
    int32_t temporal = 1;   ///< Frames per patch; an image is repeated that often (Qwen2-VL).
    int32_t merge = 1;      ///< Patches come in blocks of merge x merge (Qwen2-VL).
    int32_t registers = 0;  ///< Learned tokens behind the class token.
    bool class_token = false;
    Positions positions = Positions::learned;
    bool rotary = false;  ///< Two-dimensional rotary positions over rows and columns.
    float rope_theta = 10000.F;
    bool rms_norm = false;
    bool qk_norm = false;
    float qk_norm_eps = 1e-6F;
    float norm_eps = 1e-5F;
    uint32_t activation = 0;
    bool gated = false;
    int32_t window = 0;                ///< Window in pixels of the windowed layers; 0: none.
    std::vector<int32_t> full_layers;  ///< Layers that see the whole image when there are windows.
    bool norm_last = false;            ///< `last_hidden_state` is behind the final norm.
    Pooling pooling = Pooling::none;
    bool pooled = false;  ///< The pooled feature is wanted.

    /** `hidden_states[i]` that become the features, counted from 0 (the embeddings) to `layers`, side by side; empty:
     * the last hidden state. */
    std::vector<int32_t> feature_layers;
    bool drop_prefix = false;   ///< The features leave out the class token (and registers).
    bool always_tiles = false;  ///< Tiles whatever the image processor's file says, as the family's processor does.
    /** InternVL's own files say in config.json, and not in the image processor's, how a picture is cut. */
    struct Dynamic {
        bool given = false;
        bool tiles = false;
        bool thumbnail = false;
        int32_t least = 1, most = 6;
    } dynamic;
    bool one_size = false;  ///< Takes pictures of `image_size` only; other towers stretch their table of positions.
    bool pad_to_square = false;  ///< Preprocessing pads to a square of the mean colour first (LLaVA-1.5).

    int32_t head_dim() const { return static_cast<int32_t>(hidden / heads); }
    /** Tokens in front of the patches. */
    int32_t prefix() const { return (class_token ? 1 : 0) + registers; }
    /** Width of a feature. */
    int64_t feature_size() const { return hidden * std::max<int64_t>(1, static_cast<int64_t>(feature_layers.size())); }
    /** The last hidden state that the features need; -1: that behind the last layer and the final norm. */
    int32_t last_needed() const {
        if (pooled || feature_layers.empty()) return layers;
        return *std::max_element(feature_layers.begin(), feature_layers.end());
    }
    /** Elements of a flattened patch. */
    int64_t patch_elements() const { return int64_t{channels} * temporal * patch_height * patch_width; }
};

/** Reads a tower's section. Throws INVALID_ARGUMENT for an unknown `model_type`, an unknown key or sizes that do not
 * fit. */
VitConfig read_config(const sdk::ComponentConfig& c);

}  // namespace vlm::vit
