/** @file plugin.cpp
 *  Identity of `org.vlmhost.single_stream`.
 */
#include "stream.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {
    .id = "org.vlmhost.single_stream",
    .name = "Single-stream transformer over text and patches",
    .vendor = "VLM host SDK",
    .version = "0.1.0",
    .license = "Apache-2.0",
    .url = "https://arxiv.org/abs/2102.03334",
    .capabilities =
        R"({"kinds": ["vlm.backbone/1"], "architectures": ["vilt"], "devices": ["cpu", "cuda"], "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::single_stream::Stream)
