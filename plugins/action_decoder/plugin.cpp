/** @file plugin.cpp
 *  Identity of `org.vlmhost.action_decoder`.
 */
#include "action_decoder.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.action_decoder",
    .name = "Robot actions from action tokens",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2406.09246",
    .capabilities =
        R"({"kinds": ["vlm.post_processor/1"], "architectures": ["openvla"], "devices": ["cpu", "cuda"],
                        "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::action::ActionDecoder)
