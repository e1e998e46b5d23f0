/** @file patcher.hpp
 *  The vision encoder `org.vlmhost.fuyu_patcher`: no tower at all. The features of an image are its patches as rows of
 * pixel values; the connector behind is the linear layer of the checkpoint, and the backbone sees patches and text from
 * its first layer on. Fuyu, ViLT and this project's early-fusion models are made of it (see config.hpp).
 */
#pragma once
#include <span>
#include <vector>

#include "config.hpp"
#include "vlm/sdk/plugin.hpp"

namespace vlm::patcher {

class Patcher : public sdk::VisionEncoder {
  public:
    explicit Patcher(const sdk::ComponentConfig& c) : config_(read_config(c)), host_(c.host) {}

    void describe(vlm_vision_description& description) const override;
    /** The pixel tensor is `[patches, elements]` when a patch is channel-last, as the reference's, and else the padded
     * page `[1, 3, height, width]`. */
    sdk::VisionPlan plan(int32_t width, int32_t height) const override;
    void preprocess(const sdk::Run& run, const vlm_image& image, const sdk::Tensor& pixels) const override;
    void encode(const sdk::Run& run, std::span<const sdk::Tensor> pixels,
                std::span<vlm_vision_output> outputs) const override;

  private:
    /** Size of the page that is cut: whole patches when it is padded. */
    Extent canvas(const Extent& page) const;

    Config config_;
    sdk::Host host_;
};

/** Cuts `canvas` `[3, height, width]` into rows `[y, x, channel]`, raster order: `FuyuImageProcessor.patchify_image`.
 */
void cut_channel_last(std::span<const float> canvas, const Extent& size, const Extent& patch, std::span<float> rows);

}  // namespace vlm::patcher
