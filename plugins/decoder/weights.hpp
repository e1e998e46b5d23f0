/** @file weights.hpp
 *  The packed model: what the layers of one decoder need, under neutral names.
 *
 *  Only loading knows how a family calls and fuses its tensors. Projections that read the same input are packed as
 * parts of one layer (q, k, v; gate, up), so that the input is read once.
 */
#pragma once
#include <vector>
#include <vlm/sdk/weights.hpp>

#include "confidence.hpp"
#include "config.hpp"

namespace vlm::decoder {

/** A table that rows are gathered from. On the CPU it is a view of the mapped file, elsewhere a copy on the device. */
struct Table {
    sdk::Kept copy;
    sdk::Tensor rows;
    explicit operator bool() const { return static_cast<bool>(rows); }
};

/** Factor and shift of a norm; both empty when it has none. */
struct NormWeights {
    bool present = false;
    sdk::Kept gamma;
    sdk::Kept beta;
};

/** `down(act(gate(x)) * up(x))`, or without a gate. */
struct MlpWeights {
    sdk::Linear up;  ///< With a gate: gate and up in one.
    NormWeights inner_norm;
    sdk::Linear down;
};

struct LayerWeights {
    NormWeights attention_norm;
    sdk::Linear qkv;
    NormWeights q_norm;
    NormWeights k_norm;
    NormWeights inner_norm;  ///< Before the output projection.
    sdk::Linear out;
    NormWeights post_attention_norm;
    NormWeights mlp_norm;
    MlpWeights mlp;
    NormWeights post_mlp_norm;
};

/** A gated cross-attention block (Flamingo, arXiv 2204.14198). Gates are stored after tanh. */
struct CrossWeights {
    NormWeights attention_norm;
    sdk::Linear q;
    sdk::Linear kv;
    NormWeights q_norm;
    NormWeights k_norm;
    sdk::Linear out;
    sdk::Kept attention_gate;
    NormWeights mlp_norm;
    MlpWeights mlp;
    sdk::Kept mlp_gate;
};

struct ModelWeights {
    Table embedding;            ///< [vocab, embed_size]
    Table extra_embedding;      ///< [extra_vocab, embed_size]
    sdk::Kept embedding_scale;  ///< [embed_size], empty: 1
    Table positions;            ///< [max_positions + offset, hidden]
    Table modality;             ///< [2, hidden]: visual, text
    sdk::Linear project_in;
    sdk::Linear project_out;
    NormWeights final_norm;
    sdk::Linear head;
    std::optional<ConfidenceHead> confidence;
    std::vector<LayerWeights> layers;
    std::vector<CrossWeights> cross;
};

/** Reads and packs a decoder. Names are those of the architecture's own checkpoints ("model.layers.0.self_attn.q_proj.
 *  weight", "lm_head.weight"); prefixes of composite models in front of them are found too.
 *  Throws NOT_FOUND for a missing tensor and INVALID_ARGUMENT for one of a wrong shape. */
ModelWeights load_weights(const DecoderConfig& config, const sdk::Weights& weights);

}  // namespace vlm::decoder
