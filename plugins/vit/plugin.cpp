/** @file plugin.cpp
 *  Identity of `org.vlmhost.vit`.
 */
#include "vlm/sdk/plugin.hpp"

#include "towers.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.vit",
    .name = "Vision transformer",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2010.11929",
    .capabilities =
        R"({"kinds": ["vlm.vision_encoder/1"], "architectures": ["clip_vision_model", "siglip_vision_model", "blip_2_vision_model",
            "instructblip_vision_model", "internvl_vision", "intern_vit_6b", "qwen2_vl", "qwen2_5_vl", "idefics_vision",
            "idefics2_vision", "idefics3_vision", "kosmos_2_vision_model", "timm_vit"],
            "devices": ["cpu", "cuda"], "dtypes": ["f32", "bf16"], "hooks": ["encoder_layer", "encoder_output"],
            "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::vit::Towers)
