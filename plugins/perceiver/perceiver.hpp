/** @file perceiver.hpp
 *  The connector `org.vlmhost.perceiver`: any number of features becomes a fixed number of latents (Perceiver, arXiv
 *  2103.03206; Flamingo, arXiv 2204.14198).
 *
 *  features → [norm] → [length 1] → [linear or gated MLP] → blocks of (latents attend to [features, latents]; MLP) →
 *  [norm] → tokens
 *
 *  An image that the tower saw in several views (tiles and a thumbnail) is resampled view by view, as the references
 * do, and its layout has one block of latents per view.
 */
#pragma once
#include <vector>

#include "block.hpp"
#include "config.hpp"

namespace vlm::perceiver {

/** A resampler as a connector. */
class Perceiver : public sdk::Connector {
  public:
    explicit Perceiver(const sdk::ComponentConfig& c) : config_(read_config(c.config)) {}

    void load(const sdk::Weights& weights) override;
    void describe(vlm_connector_description& description) const override;
    sdk::ConnectorPlan plan(const sdk::Layout& layout, int32_t width, int32_t height) const override;
    void connect(const sdk::Run& run, std::span<const vlm_connector_input> inputs,
                 std::span<vlm_connector_output> outputs) const override;

    const PerceiverConfig& config() const { return config_; }

  private:
    /** What the blocks see of the features: `[rows, hidden]`. */
    sdk::Scratch project(const sdk::Ops& ops, const sdk::Tensor& features) const;
    /** The latents of one view, `[latents, hidden]`, into `out`. */
    void resample(const sdk::Ops& ops, const sdk::Tensor& features, sdk::Tensor out) const;

    PerceiverConfig config_;
    sdk::Kept latents_;  ///< `[latents, hidden]`.
    Norm input_norm_;
    sdk::Linear dense_;
    sdk::Linear gate_up_;
    sdk::Linear down_;
    std::vector<Block> blocks_;
    Norm final_norm_;
};

}  // namespace vlm::perceiver
