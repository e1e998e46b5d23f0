/** @file timm.hpp
 *  Towers that a configuration names only by their timm model ids (Prismatic, OpenVLA).
 *
 *  Such a file gives neither width nor depth: they were arguments of `timm.create_model`. The table here is timm's, for
 * the towers that Prismatic was trained with (prismatic/models/backbones/vision). What the table cannot know comes from
 * the weights (the width of the MLP) or from `timm_geometry`.
 */
#pragma once
#include <string>
#include <vector>

#include "vlm/sdk/components.hpp"

namespace vlm::vit {

/** One of several towers that see the same image. */
struct TowerSpec {
    sdk::ComponentConfig component;  ///< As if it were alone.
    std::string prefix;              ///< In front of its weights.
};

/** The towers of a configuration with `timm_model_ids`, each with its part of preprocessor_config.json. Keys:
 *  `timm_model_ids`, `image_sizes`, `use_fused_vision_backbone`, `image_resize_strategy` ("resize-naive" or
 *  "resize-crop"), `timm_override_act_layers`, and `timm_geometry` (`patch_size`, `depth`, `num_heads`,
 *  `num_registers`, `dims` by weight prefix) for towers that are not in the table. Throws INVALID_ARGUMENT. */
std::vector<TowerSpec> timm_towers(const sdk::ComponentConfig& c);

}  // namespace vlm::vit
