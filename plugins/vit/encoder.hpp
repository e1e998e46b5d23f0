/** @file encoder.hpp
 *  `org.vlmhost.vit`: the vision encoder component around a tower.
 */
#pragma once
#include "geometry.hpp"
#include "tower.hpp"
#include "vlm/sdk/components.hpp"

namespace vlm::vit {

/** Pixels to features of any tower that presets.cpp knows. */
class Encoder : public sdk::VisionEncoder {
  public:
    explicit Encoder(const sdk::ComponentConfig& c);

    void load(const sdk::Weights& weights) override { tower_.load(weights); }
    void describe(vlm_vision_description& description) const override;
    sdk::VisionPlan plan(int32_t width, int32_t height) const override;
    void preprocess(const sdk::Run& run, const vlm_image& image, const sdk::Tensor& pixels) const override;
    void encode(const sdk::Run& run, std::span<const sdk::Tensor> pixels,
                std::span<vlm_vision_output> outputs) const override;

    const VitConfig& config() const { return config_; }

  private:
    struct Job;
    void encode_views(const sdk::Ops& ops, const sdk::Hooks& hooks, std::span<const ViewInput> views,
                      std::span<Job> jobs) const;
    int64_t skipped() const { return config_.drop_prefix ? config_.prefix() : 0; }

    sdk::Host host_;
    VitConfig config_;
    PreprocessConfig preprocess_;
    Tower tower_;
};

}  // namespace vlm::vit
