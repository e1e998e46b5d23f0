/** @file config.hpp
 *  What a perceiver resampler is, in one form for all families.
 *
 *  They share one idea (latent queries attend to the features and to themselves) and differ in norms, projections and
 *  tensor names. A style sets those; the code behind works on the members and never asks which style it was.
 */
#pragma once
#include <cstdint>
#include <string>

#include "vlm/sdk/plugin.hpp"

namespace vlm::perceiver {

/** Tensor names. Those of a block follow `block` and its index; empty: there is none. */
struct Names {
    std::string latents = "latents";
    std::string input_norm;                  ///< Norm of the features.
    std::string dense;                       ///< One linear layer over the features.
    std::string gate, up, down;              ///< Or a gated MLP over them.
    std::string block;                       ///< "layers.", "blocks."; empty: one block without index.
    std::string context_norm, latents_norm;  ///< Norms in front of the attention.
    std::string q, k, v, out;                ///< Projections of the attention.
    std::string kv;                          ///< `k` and `v` as one matrix.
    std::string q_norm, k_norm;              ///< Norms of the heads.
    std::string mlp_norm;                    ///< Norm in front of the MLP.
    std::string mlp_gate, mlp_up, mlp_down;  ///< The MLP; without a gate: up, activation, down.
    std::string final_norm;                  ///< Norm of the result.
};

/** One resampler. */
struct PerceiverConfig {
    Names names;
    bool resample = true;  ///< False: features pass through (Idefics without a resampler).
    int64_t input = 0;     ///< Width of the features.
    int64_t hidden = 0;    ///< Width of the latents and of the output.
    int64_t latents = 64;
    int32_t depth = 1;
    int32_t heads = 16;
    int32_t kv_heads = 16;
    int32_t head_dim = 96;
    int64_t projection = 0;     ///< Width inside the gated MLP over the features.
    int64_t mlp = 0;            ///< Width inside a block's MLP.
    bool l2_normalize = false;  ///< Features are scaled to length 1 behind their norm.
    bool residual = true;       ///< A block adds to the latents; else its result replaces them.
    bool rms = false;           ///< All norms are RMS norms.
    bool qk_norm = false;       ///< `q_norm` and `k_norm` are used.
    float norm_eps = 1e-5F;
    uint32_t projection_act = 0;
    uint32_t mlp_act = 0;
    uint32_t delivery = VLM_DELIVERY_INLINE;
};

/** Reads the section that the recipe gives, by its `style`: "idefics", "idefics2", "kosmos2" or "flamingo". What a file
 * leaves out is the default of the family's configuration class in transformers (open_flamingo for "flamingo"). Throws
 * INVALID_ARGUMENT for an unknown style or key, or a size out of range. */
PerceiverConfig read_config(const sdk::Config& config);

}  // namespace vlm::perceiver
