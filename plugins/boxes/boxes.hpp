/** @file boxes.hpp
 *  The post-processor `org.vlmhost.boxes`: the boxes that a grounded answer names (Kosmos-2, arXiv 2306.14824).
 *
 *  Writes `grounding`: per answer `text` without markup and `entities`, each with `phrase`, its `span` of bytes in the
 * text, `boxes` (left, top, right, bottom; 0 to 1 of the image) and, when the answer belongs to one image, `pixels`.
 *
 *  A prompt may hold the phrase whose place is asked for ("<phrase>a cat</phrase>"); the answer then begins with the
 * object, and both are read as one text.
 *
 *  Options: `cells` (number of location tokens, a square; default: `num_patch_index_tokens` of processor_config.json,
 * else 1024).
 */
#pragma once
#include <string>

#include "grounding.hpp"
#include "vlm/sdk/plugin.hpp"

namespace vlm::boxes {

class Boxes : public sdk::PostProcessor {
  public:
    explicit Boxes(const sdk::ComponentConfig& c);

    void load(const sdk::Weights& weights) override;
    nlohmann::json process(const sdk::Run& run, const vlm_post_input& input) const override;

  private:
    int64_t side_ = 0;  ///< Cells along one side; 0: not known before `load`.
};

}  // namespace vlm::boxes
