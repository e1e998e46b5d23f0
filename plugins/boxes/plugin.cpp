/** @file plugin.cpp
 *  Identity of `org.vlmhost.boxes`.
 */
#include "boxes.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.boxes",
    .name = "Boxes from grounding tokens",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2306.14824",
    .capabilities =
        R"({"kinds": ["vlm.post_processor/1"], "architectures": ["kosmos-2"], "devices": ["cpu", "cuda"],
                        "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::boxes::Boxes)
