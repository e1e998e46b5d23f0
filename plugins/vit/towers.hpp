/** @file towers.hpp
 *  The component of this plugin: one tower, or several that see the same image.
 *
 *  With several towers the features of a patch stand side by side, first tower first, and so do the pixels: the pixel
 * tensor is `[1, towers * 3, height, width]` as in Prismatic. All towers must cut an image into the same grid.
 */
#pragma once
#include <memory>
#include <vector>

#include "encoder.hpp"

namespace vlm::vit {

class Towers : public sdk::VisionEncoder {
  public:
    explicit Towers(const sdk::ComponentConfig& c);

    void load(const sdk::Weights& weights) override;
    void describe(vlm_vision_description& description) const override;
    sdk::VisionPlan plan(int32_t width, int32_t height) const override;
    void preprocess(const sdk::Run& run, const vlm_image& image, const sdk::Tensor& pixels) const override;
    void encode(const sdk::Run& run, std::span<const sdk::Tensor> pixels,
                std::span<vlm_vision_output> outputs) const override;

  private:
    std::vector<std::unique_ptr<Encoder>> towers_;
    std::vector<std::string> prefixes_;  ///< In front of each tower's weights.
};

}  // namespace vlm::vit
