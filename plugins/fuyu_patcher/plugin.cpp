/** @file plugin.cpp
 *  Identity of `org.vlmhost.fuyu_patcher`.
 */
#include "patcher.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.fuyu_patcher",
    .name = "Patches without a vision tower",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://www.adept.ai/blog/fuyu-8b",
    .capabilities =
        R"({"kinds": ["vlm.vision_encoder/1"], "architectures": ["fuyu", "vilt", "early_fusion_vlm",
                        "early_fusion_interleaved"], "devices": ["cpu", "cuda"], "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::patcher::Patcher)
