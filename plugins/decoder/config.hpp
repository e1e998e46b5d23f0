/** @file config.hpp
 *  One description for all decoder-only transformers that this plugin serves.
 *
 *  The architectures differ in a dozen independent choices (norm, positions, mask, activation, biases, ...). Reading a
 *  checkpoint's config.json ends here: everything behind works on these choices and never asks for a model name, except
 *  weights.cpp, which has to know how tensors are called.
 */
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>
#include <vlm/sdk/config.hpp>

namespace vlm::decoder {

/** How the tensors of a checkpoint are called and fused. */
enum class Naming {
    llama,         ///< q_proj, k_proj, v_proj, o_proj; gate_proj, up_proj, down_proj. Mistral, Qwen2, Gemma.
    phi3,          ///< As llama with qkv_proj and gate_up_proj stored fused.
    opt,           ///< self_attn.out_proj, fc1, fc2; self_attn_layer_norm, final_layer_norm.
    kosmos2,       ///< As opt with ffn.fc1 and the inner norms of sub-LN.
    persimmon,     ///< query_key_value fused per head, dense, mlp.dense_h_to_4h.
    early_fusion,  ///< attn.in_proj_weight or qkv, ffn.0, ffn.3 or ffn.2.
};

enum class NormKind { rms, layer };
enum class NormPlacement {
    before,  ///< x + f(norm(x)).
    after,   ///< norm(x + f(x)): OPT-350m.
    both,    ///< x + norm(f(norm(x))): Gemma 2.
};
enum class PositionKind { none, rotary, learned, sinusoidal };

/** Who sees whom. Text generated later is causal in all of them. */
enum class MaskKind {
    causal,        ///< Keys up to the row.
    prefix,        ///< Visual keys are open to all rows; a text key only to text rows at or after it.
    prefix_lm,     ///< The first run of a context (image and prompt) sees all of itself: PaliGemma.
    block_causal,  ///< Causal, and every visual row sees its whole image.
    full,          ///< Everything.
};

/** How merged visual rows are unmerged for attention. */
enum class Unmerge {
    automatic,  ///< compact when it saves a quarter of the cache, else expand.
    expand,     ///< q, k and v are repeated for every position; the cache holds all positions.
    compact,    ///< The cache holds each merged row once, and the kernel rotates it for each of its positions.
};

/** Rotary position embedding (RoFormer, arXiv 2104.09864) and its length extensions. */
struct RopeConfig {
    enum class Kind { standard, linear, dynamic, llama3, yarn, longrope };
    Kind kind = Kind::standard;
    double theta = 10000.0;
    double partial = 1.0;                    ///< Part of each head that is rotated.
    double factor = 1.0;                     ///< Length factor of all kinds but standard.
    std::optional<double> attention_factor;  ///< Factor on cos and sin; absent: by the kind's formula.
    double low_frequency_factor = 1.0;       ///< llama3.
    double high_frequency_factor = 4.0;      ///< llama3.
    double beta_fast = 32.0;                 ///< yarn.
    double beta_slow = 1.0;                  ///< yarn.
    double mscale = 0.0;                     ///< yarn; 0: not given.
    double mscale_all_dim = 0.0;             ///< yarn; 0: not given.
    bool truncate = true;                    ///< yarn: round the borders of the ramp.
    int64_t max_positions = 2048;
    int64_t original_max_positions = 2048;
    std::vector<double> short_factor;    ///< longrope, one per frequency.
    std::vector<double> long_factor;     ///< longrope, one per frequency.
    std::vector<int32_t> mrope_section;  ///< Frequencies of (time, row, column); empty: one axis.
};

/** What a decoder is. Sizes are checked: positive, and heads divisible by key/value heads. */
struct DecoderConfig {
    std::string model_type;
    Naming naming = Naming::llama;
    int64_t vocab_size = 0;
    int64_t extra_vocab = 0;   ///< Ids from `vocab_size` on, in tables of their own (Idefics).
    int64_t hidden_size = 0;   ///< Width of the layers.
    int64_t embed_size = 0;    ///< Width of the embedding table; differs from `hidden_size` in OPT-350m.
    int64_t visual_size = 0;   ///< Width of the visual tokens.
    int64_t intermediate = 0;  ///< Width inside the MLP.
    int64_t max_positions = 0;
    int32_t layers = 0;
    int32_t heads = 0;
    int32_t kv_heads = 0;
    int32_t head_dim = 0;

    NormKind norm = NormKind::rms;
    NormPlacement placement = NormPlacement::before;
    float norm_eps = 1e-6f;
    float norm_offset = 0.0f;  ///< 1: the factor is 1 + weight (Gemma).
    bool norm_affine = true;
    bool final_norm = true;
    bool sub_norm = false;  ///< Norms before the output projection and inside the MLP (Magneto, Kosmos-2).
    bool qk_norm = false;   ///< Norm of q and k per head before rotation; same kind as `norm`.

    uint32_t activation = 0;  ///< VLM_ACT_*.
    bool gated = true;
    bool qkv_bias = false;
    bool attention_out_bias = false;
    bool mlp_bias = false;
    bool tie_embeddings = false;
    bool tie_explicit = false;  ///< The checkpoint says whether they are tied; else a missing head means tied.

    float attention_scale = 1.0f;
    float attention_softcap = 0.0f;
    float final_softcap = 0.0f;
    std::vector<int64_t> windows;  ///< Sliding window of each layer, the row itself included; 0: none.

    PositionKind positions = PositionKind::rotary;
    int32_t position_offset = 0;  ///< Added to the index of a token (OPT 2, Kosmos-2 2, PaliGemma 1).
    RopeConfig rope;
    float embed_scale = 1.0f;
    bool scale_visual = false;  ///< The factor is for visual tokens too (Kosmos-2).
    bool modality_embedding = false;

    MaskKind mask = MaskKind::causal;
    Unmerge unmerge = Unmerge::automatic;
    bool tap_attention = false;  ///< Show attention weights to whoever taps.

    int32_t cross_interval = 0;  ///< Gated cross-attention before layer i when i % interval == 0 (Flamingo); 0: none.
    bool cross_qk_norm = false;
    int32_t image_token = -1;  ///< Id that stands for an image when the images are memory.
    int32_t end_token = -1;    ///< Text behind this id sees no image until the next one.

    /** Number of gated cross-attention blocks. */
    int32_t cross_layers() const { return cross_interval > 0 ? layers / cross_interval : 0; }
    /** Ids that the model knows. */
    int64_t total_vocab() const { return vocab_size + extra_vocab; }
    /** Columns of the fused projection: q, then k, then v. */
    int64_t qkv_size() const { return (int64_t{heads} + 2 * int64_t{kv_heads}) * head_dim; }
};

/** Reads the section of config.json that describes the language model, options merged over it.
 *  `model` is the whole config.json; it decides what only the outer model knows (a Gemma inside PaliGemma has a prefix
 *  mask). Values that a file omits are the defaults of its model_type's configuration class.
 *  Throws INVALID_ARGUMENT for an unknown model_type, an unsupported key or a bad value. */
DecoderConfig read_config(const sdk::Config& section, const sdk::Config& model);

}  // namespace vlm::decoder
