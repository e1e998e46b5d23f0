/** @file plugin.cpp
 *  Identity of `org.vlmhost.dual_encoder`.
 */
#include "text_tower.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.dual_encoder",
    .name = "Text tower of a dual encoder",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2103.00020",
    .capabilities =
        R"({"kinds": ["vlm.backbone/1"], "architectures": ["clip", "siglip"], "devices": ["cpu", "cuda"], "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::dual_encoder::TextTower)
