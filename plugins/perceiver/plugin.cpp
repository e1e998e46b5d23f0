/** @file plugin.cpp
 *  Identity of `org.vlmhost.perceiver`.
 */
#include "perceiver.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.perceiver",
    .name = "Perceiver resampler",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2204.14198",
    .capabilities =
        R"({"kinds": ["vlm.connector/1"], "architectures": ["idefics", "idefics2", "kosmos-2", "flamingo"], "devices": ["cpu", "cuda"],
            "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::perceiver::Perceiver)
