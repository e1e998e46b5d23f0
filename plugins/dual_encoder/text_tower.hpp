/** @file text_tower.hpp
 *  The backbone `org.vlmhost.dual_encoder`: a causal text tower whose last state at the end token, projected, is one
 * embedding per text (CLIP, arXiv 2103.00020; `CLIPTextTransformer` of transformers).
 *
 *  Texts of one call are laid behind one another and each row sees the keys of its own text only, so that nothing is
 * padded and an embedding does not depend on what else is in the batch.
 */
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "config.hpp"
#include "vlm/sdk/encoder_layer.hpp"
#include "vlm/sdk/plugin.hpp"

namespace vlm::dual_encoder {

class TextTower : public sdk::Backbone {
  public:
    explicit TextTower(const sdk::ComponentConfig& c) : config_(read_config(c.config)) {}

    void load(const sdk::Weights& weights) override;
    void describe(vlm_backbone_description& description) const override;
    /** Always UNIMPLEMENTED: an encoder keeps nothing. */
    std::unique_ptr<sdk::BackboneContext> make_context(const sdk::Run& run, int64_t max_tokens) const override;
    sdk::BackbonePlan plan(const vlm_backbone_request& request) const override;
    /** Fills `[1, projection]` per request, not normalised. INVALID_ARGUMENT for images, an empty text, ids outside the
     * vocabulary or more tokens than there are positions. */
    void run(const sdk::Run& run, std::span<vlm_backbone_request> requests) const override;

  private:
    /** All texts of a call, row by row. */
    struct Batch {
        std::vector<int32_t> ids, positions, begins, ends, pooled;
    };

    Batch collect(const sdk::Ops& ops, std::span<vlm_backbone_request> requests) const;
    sdk::EncoderLayerConfig layer_config() const {
        return {config_.hidden_size, config_.intermediate_size, config_.heads, config_.norm_eps, config_.activation};
    }

    TextConfig config_;
    sdk::Kept embedding_, positions_, norm_, norm_bias_;
    sdk::Linear projection_;
    std::vector<sdk::EncoderLayer> layers_;
};

}  // namespace vlm::dual_encoder
