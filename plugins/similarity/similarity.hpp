/** @file similarity.hpp
 *  The post-processor `org.vlmhost.similarity`: what a backbone that does not generate has computed, as a ranking.
 *
 *  - Embeddings (CLIP, SigLIP): images and texts are compared by cosine, times `exp(logit_scale)` of the checkpoint,
 * plus its `logit_bias` if it has one. Writes `logits_per_image` and `probabilities` (softmax over the texts; with a
 * bias the sigmoid of each), both `[images][texts]`, `cosines`, and `ranking`: per image the texts, best first.
 *  - Classes (ViLT): `predictions`: per answer the best labels of `id2label`.
 *  - One score per pair (retrieval): `matches`: per answer score and probability.
 *
 *  Options: `top` (most labels listed, default 5), `probability` ("softmax", "sigmoid"; default "auto": sigmoid for one
 * score and for checkpoints of question answering, which were trained on soft targets, else softmax), `embeddings`
 * (true: also write `image_embeddings` and `text_embeddings`, normalised).
 */
#pragma once
#include <string>
#include <vector>

#include "ranking.hpp"
#include "vlm/sdk/plugin.hpp"

namespace vlm::similarity {

class Similarity : public sdk::PostProcessor {
  public:
    explicit Similarity(const sdk::ComponentConfig& c);

    void load(const sdk::Weights& weights) override;
    /** Throws FAILED_PRECONDITION when no answer carries an output, or when images and texts differ in width. */
    nlohmann::json process(const sdk::Run& run, const vlm_post_input& input) const override;

  private:
    nlohmann::json compare(const sdk::Run& run, Matrix images, Matrix texts,
                           const std::vector<std::string>& labels) const;
    nlohmann::json classify(const Matrix& scores) const;
    std::vector<double> probabilities(const float* scores, int64_t count) const;
    std::string label(int64_t index) const;

    int64_t top_;
    bool sigmoid_;
    bool embeddings_;
    bool one_score_ = false;
    double logit_scale_ = 0;            ///< Natural logarithm of the factor on the cosines.
    std::optional<double> logit_bias_;  ///< Added behind it by models with a sigmoid loss.
    nlohmann::json labels_;
};

}  // namespace vlm::similarity
