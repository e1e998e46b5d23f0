/** @file plugin.cpp
 *  Identity of `org.vlmhost.qformer`.
 */
#include "qformer.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.qformer",
    .name = "Querying transformer (Q-Former)",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2301.12597",
    .capabilities =
        R"({"kinds": ["vlm.connector/1"], "architectures": ["blip-2", "instructblip"], "devices": ["cpu", "cuda"],
            "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::qformer::QFormer)
