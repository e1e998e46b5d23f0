/** @file plugin.cpp
 *  Identity of `org.vlmhost.similarity`.
 */
#include "similarity.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.similarity",
    .name = "Rankings of labels, answers and matches",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2103.00020",
    .capabilities =
        R"({"kinds": ["vlm.post_processor/1"], "architectures": ["clip", "vilt"], "devices": ["cpu", "cuda"],
                        "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::similarity::Similarity)
