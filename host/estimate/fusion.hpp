/** @file fusion.hpp
 *  The same language model with pictures brought to it in three ways, side by side.
 *
 *  One of the ways is the model's own: its numbers are counted. The other two are derived, so that somebody who chooses
 *  an architecture sees what the choice costs for one language model and one size of picture. What is assumed stands
 *  in `how`.
 */
#pragma once
#include <string>
#include <vector>

#include "host/estimate/estimate.hpp"

namespace vlm::estimate {

/** One way to bring a picture to a language model. */
struct Fusion {
    std::string kind;  ///< "projection", "cross-attention" or "early fusion".
    std::string how;   ///< What was assumed.
    bool own = false;  ///< This model's way: counted and not derived.
    bool fits = true;  ///< False: the sequence is longer than the language model takes; `prefill` and `decode` are 0.
    double visual_tokens = 0;
    double sequence = 0;  ///< Positions that the language model holds.
    Work encode, connect, prefill, decode;
    double weight_bytes = 0;
    double new_weights =
        0;                ///< Weights that neither the tower nor the language model had: what must be learnt at least.
    double kv_bytes = 0;  ///< Behind the prompt.
    double peak_bytes = 0;
    double compression = 0;            ///< Numbers of the picture per number that reaches the language model.
    double connector_compression = 0;  ///< Numbers that the tower gives per number that reaches the language model.

    /** Time of a whole answer by the roofline of each stage. */
    double seconds(const Machine& machine, int64_t new_tokens) const;
};

/** The three kinds for this pipeline's language model and tower, after run_stages:
 *  - projection: the tokens of the connector in the sequence (LLaVA, arXiv 2304.08485);
 *  - cross-attention: 64 latents of a six-block Perceiver, a gated block before every fourth layer (Flamingo, arXiv
 *    2204.14198);
 *  - early fusion: raw patches of 30 x 30 pixels and a newline per row, one linear layer, no tower (Fuyu).
 *  `new_weights` of early fusion are all, since no tower and no language model was made for patches; of models with
 *  gated blocks, those of the connector only, as their blocks cannot be told from their layers.
 *  Models without a tower are compared with that of CLIP ViT-L/14-336. Peak memory allows for `new_tokens`.
 *  Empty for backbones that do not generate. `device` is the one that the pipeline was opened on. */
std::vector<Fusion> compare_fusion(const Pipeline& pipeline, DryDevice& device, const Stages& stages, int width,
                                   int height, int64_t new_tokens);

}  // namespace vlm::estimate
