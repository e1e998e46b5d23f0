/** @file plugin.cpp
 *  `org.vlmhost.decoder`: the language model of nearly every vision-language model.
 *
 *  Options, merged into its section of config.json: `mask` (causal, prefix, prefix_lm, block_causal, full), `unmerge`
 *  (auto, expand, compact), `position_offset`, `image_token_id` (families whose images are memory), `tap_attention`.
 */
#include <vlm/sdk/plugin.hpp>

#include "decoder.hpp"

namespace {

constexpr vlm::sdk::Identity kIdentity = {.id = "org.vlmhost.decoder",
                                          .name = "Decoder-only transformer",
                                          .vendor = "VLM host project",
                                          .version = "1.0.0",
                                          .license = "Apache-2.0",
                                          .url = "https://vlmhost.org/plugins/decoder",
                                          .capabilities = R"({"kinds": ["vlm.backbone/1"],
        "architectures": ["llama", "mistral", "qwen2", "qwen3", "qwen2_vl", "qwen2_5_vl", "phi3", "gemma", "gemma2",
                          "opt", "persimmon", "kosmos_2_text_model", "idefics", "early_fusion_vlm",
                          "early_fusion_interleaved", "hybrid_early_fusion"],
        "devices": ["cpu", "cuda"], "dtypes": ["f32", "bf16", "f16"], "hooks": ["backbone_layer"],
        "deterministic": true})"};

}  // namespace

VLM_SDK_PLUGIN(kIdentity, vlm::decoder::Decoder)
