/** @file decoder.hpp
 *  The component: configuration, packed weights, and the calls of `vlm.backbone/1`.
 */
#pragma once
#include <vlm/sdk/components.hpp>

#include "config.hpp"
#include "weights.hpp"

namespace vlm::decoder {

/** A decoder-only transformer. Read-only after `load`, shared by all conversations. */
class Decoder : public sdk::Backbone {
  public:
    /** Reads the configuration and nothing else. Throws INVALID_ARGUMENT. */
    explicit Decoder(const sdk::ComponentConfig& config);

    void load(const sdk::Weights& weights) override;
    void describe(vlm_backbone_description& description) const override;
    std::unique_ptr<sdk::BackboneContext> make_context(const sdk::Run& run, int64_t max_tokens) const override;
    void truncate(sdk::BackboneContext& context, int64_t tokens) const override;
    void state(const sdk::BackboneContext& context, vlm_backbone_state& state) const override;
    sdk::BackbonePlan plan(const vlm_backbone_request& request) const override;
    void run(const sdk::Run& run, std::span<vlm_backbone_request> requests) const override;

  private:
    DecoderConfig config_;
    ModelWeights weights_;
    int64_t cache_bytes_ = 0;  ///< Of one position over all layers; asked from the device in `load`.
};

}  // namespace vlm::decoder
