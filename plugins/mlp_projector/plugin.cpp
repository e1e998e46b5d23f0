/** @file plugin.cpp
 *  Identity of `org.vlmhost.mlp_projector`.
 */
#include "projector.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.mlp_projector",
    .name = "Linear and MLP projector",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2310.03744",
    .capabilities =
        R"({"kinds": ["vlm.connector/1"], "architectures": ["llava", "llava_next", "internvl", "qwen2_vl", "idefics3",
                        "paligemma", "clip", "openvla"], "devices": ["cpu", "cuda"], "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::projector::Projector)
