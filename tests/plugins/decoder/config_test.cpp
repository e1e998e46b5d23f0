/** @file config_test.cpp
 *  Configuration files of both styles, class defaults, and what must be refused by name.
 */
#include "plugins/decoder/config.hpp"

#include <gtest/gtest.h>
#include <vlm/linear.h>

#include <cmath>

namespace vlm::decoder {
namespace {

DecoderConfig read(const std::string& section, const std::string& model = "{}") {
    return read_config(sdk::Config::parse(section, "config"), sdk::Config::parse(model, "config.json"));
}

/** The message of the refusal; "" when the section is accepted. */
std::string refusal(const std::string& section) {
    try {
        read(section);
    } catch (const sdk::Error& error) {
        EXPECT_EQ(error.status(), VLM_STATUS_INVALID_ARGUMENT);
        return error.what();
    }
    return "";
}

TEST(ConfigTest, AbsentKeysAreTheClassDefaults) {
    // The text_config of llava-1.5-7b: everything else is Llama's default.
    DecoderConfig c =
        read(R"({"model_type": "llama", "_name_or_path": "lmsys/vicuna-7b-v1.5", "architectures": ["LlamaForCausalLM"],
        "max_position_embeddings": 4096, "rms_norm_eps": 1e-05, "torch_dtype": "float16", "vocab_size": 32064})");
    EXPECT_EQ(c.hidden_size, 4096);
    EXPECT_EQ(c.intermediate, 11008);
    EXPECT_EQ(c.layers, 32);
    EXPECT_EQ(c.kv_heads, 32);
    EXPECT_EQ(c.head_dim, 128);
    EXPECT_EQ(c.vocab_size, 32064);
    EXPECT_FLOAT_EQ(c.norm_eps, 1e-5f);
    EXPECT_FALSE(c.tie_embeddings);
    EXPECT_EQ(c.windows, std::vector<int64_t>(32, 0));
    EXPECT_EQ(read(R"({"vocab_size": 100})", R"({"model_type": "llava"})").model_type, "llama");
}

TEST(ConfigTest, BothSpellingsOfRotarySettingsAreRead) {
    DecoderConfig hub = read(R"({"model_type": "llama", "rope_theta": 500000.0, "rope_scaling": {"rope_type": "llama3",
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})");
    DecoderConfig five =
        read(R"({"model_type": "llama", "rope_parameters": {"rope_theta": 500000.0, "rope_type": "llama3",
        "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0, "original_max_position_embeddings": 8192}})");
    for (const DecoderConfig& c : {hub, five}) {
        EXPECT_EQ(c.rope.kind, RopeConfig::Kind::llama3);
        EXPECT_EQ(c.rope.theta, 500000.0);
        EXPECT_EQ(c.rope.original_max_positions, 8192);
    }
    DecoderConfig qwen = read(R"({"model_type": "qwen2_vl", "hidden_size": 1536, "num_attention_heads": 12,
        "num_key_value_heads": 2, "rope_scaling": {"type": "mrope", "mrope_section": [16, 24, 24]}})");
    EXPECT_EQ(qwen.rope.theta, 1000000.0);
    EXPECT_EQ(qwen.rope.mrope_section, (std::vector<int32_t>{16, 24, 24}));
    EXPECT_TRUE(qwen.qkv_bias);
}

TEST(ConfigTest, NullIsNotAbsent) {
    EXPECT_EQ(read(R"({"model_type": "mistral"})").windows[0], 4096);
    EXPECT_EQ(read(R"({"model_type": "mistral", "sliding_window": null})").windows[0], 0);
    EXPECT_EQ(read(R"({"model_type": "mistral"})").kv_heads, 8);
    EXPECT_EQ(read(R"({"model_type": "gemma2", "attn_logit_softcapping": null})").attention_softcap, 0.0f);
    EXPECT_EQ(read(R"({"model_type": "gemma2"})").attention_softcap, 50.0f);
}

TEST(ConfigTest, WindowsFollowTheFamily) {
    DecoderConfig gemma = read(R"({"model_type": "gemma2", "num_hidden_layers": 4, "sliding_window": 9})");
    EXPECT_EQ(gemma.windows, (std::vector<int64_t>{9, 0, 9, 0}));
    DecoderConfig qwen = read(R"({"model_type": "qwen2", "num_hidden_layers": 4, "sliding_window": 9,
        "use_sliding_window": true, "max_window_layers": 3})");
    EXPECT_EQ(qwen.windows, (std::vector<int64_t>{0, 0, 0, 9}));
    EXPECT_EQ(read(R"({"model_type": "qwen2", "num_hidden_layers": 2, "sliding_window": 9})").windows,
              (std::vector<int64_t>{0, 0}));
}

TEST(ConfigTest, EachGemmaReadsTheActivationOfItsOwnClass) {
    const auto activation = [](const std::string& type, const std::string& keys) {
        return read(R"({"model_type": ")" + type + "\"" + keys + "}").activation;
    };
    const std::string both = R"(, "hidden_act": "relu", "hidden_activation": "silu")";
    EXPECT_EQ(activation("gemma", both), uint32_t{VLM_ACT_RELU});
    EXPECT_EQ(activation("gemma2", both), uint32_t{VLM_ACT_SILU});
    EXPECT_EQ(activation("gemma", R"(, "hidden_act": "gelu")"), uint32_t{VLM_ACT_GELU_TANH});
    EXPECT_EQ(activation("gemma2", R"(, "hidden_activation": "gelu")"), uint32_t{VLM_ACT_GELU});
}

TEST(ConfigTest, PartialRotationIsRefusedWhereAllOfAHeadTurns) {
    const std::string partial = R"(, "partial_rotary_factor": 0.5})";
    EXPECT_THROW(read(R"({"model_type": "llama")" + partial), vlm::sdk::Error);
    EXPECT_EQ(read(R"({"model_type": "phi3")" + partial).rope.partial, 0.5);
    EXPECT_EQ(read(R"({"model_type": "llama", "partial_rotary_factor": 1.0})").rope.partial, 1.0);
}

TEST(ConfigTest, AGemmaInsidePaligemmaIsAPrefixModel) {
    std::string section =
        R"({"model_type": "gemma", "hidden_size": 2048, "num_attention_heads": 8, "num_key_value_heads": 1,
        "num_image_tokens": 256})";
    DecoderConfig c = read(section, R"({"model_type": "paligemma"})");
    EXPECT_EQ(c.mask, MaskKind::prefix_lm);
    EXPECT_EQ(c.position_offset, 1);
    EXPECT_FLOAT_EQ(c.embed_scale, std::sqrt(2048.0f));
    EXPECT_TRUE(c.tie_embeddings);
    EXPECT_EQ(read(section).mask, MaskKind::causal);
}

TEST(ConfigTest, OptionsOverrideTheFamily) {
    DecoderConfig c =
        read(R"({"model_type": "llama", "mask": "block_causal", "unmerge": "compact", "tap_attention": true,
        "position_offset": 3})");
    EXPECT_EQ(c.mask, MaskKind::block_causal);
    EXPECT_EQ(c.unmerge, Unmerge::compact);
    EXPECT_TRUE(c.tap_attention);
    EXPECT_EQ(c.position_offset, 3);
}

TEST(ConfigTest, AWholeFileIsReadThroughItsTextConfig) {
    DecoderConfig c = read(R"({"model_type": "llava", "mask": "full", "vision_config": {"hidden_size": 3},
        "text_config": {"model_type": "qwen2", "hidden_size": 64, "num_attention_heads": 4, "num_key_value_heads": 2}})");
    EXPECT_EQ(c.model_type, "qwen2");
    EXPECT_EQ(c.hidden_size, 64);
    EXPECT_EQ(c.mask, MaskKind::full);
}

TEST(ConfigTest, UnsupportedKeysAreRefusedByName) {
    EXPECT_NE(refusal(R"({"model_type": "llama", "num_local_experts": 8})").find("num_local_experts"),
              std::string::npos);
    EXPECT_NE(refusal(R"({"model_type": "opt", "rope_scaling": {"factor": 2}})").find("rope_scaling"),
              std::string::npos);
    EXPECT_NE(refusal(R"({"model_type": "llama", "quantization_config": {"bits": 4}})").find("quantization_config"),
              std::string::npos);
    EXPECT_NE(refusal(R"({"model_type": "llama", "rope_scaling": {"rope_type": "linear", "factor": 2, "twist": 1}})")
                  .find("twist"),
              std::string::npos);
    EXPECT_NE(refusal(R"({"model_type": "mamba"})").find("mamba"), std::string::npos);
}

TEST(ConfigTest, BadValuesAreRefused) {
    for (
        const char* section :
        {R"({"model_type": "llama", "hidden_size": 0})", R"({"model_type": "llama", "hidden_size": "big"})",
         R"({"model_type": "llama", "num_hidden_layers": 100000})",
         R"({"model_type": "llama", "num_key_value_heads": 5})", R"({"model_type": "llama", "head_dim": 7})",
         R"({"model_type": "llama", "rms_norm_eps": 0})", R"({"model_type": "llama", "rope_theta": 0.5})",
         R"({"model_type": "llama", "hidden_act": "mish"})",
         R"({"model_type": "llama", "rope_scaling": {"rope_type": "cubic"}})",
         R"({"model_type": "llama", "rope_scaling": {"rope_type": "linear"}})",
         R"({"model_type": "llama", "mask": "round"})",
         R"({"model_type": "qwen2_vl", "rope_scaling": {"type": "mrope", "mrope_section": [1, 2, 3]}})",
         R"({"model_type": "phi3", "rope_scaling": {"rope_type": "longrope", "short_factor": [1], "long_factor": [1]}})",
         R"({"model_type": "idefics", "num_hidden_layers": 3, "cross_layer_interval": 2})", R"({})"}) {
        EXPECT_NE(refusal(section), "") << section;
    }
}

TEST(ConfigTest, EarlyFusionWritesEverything) {
    DecoderConfig c = read(R"({"model_type": "early_fusion_interleaved", "vocab_size": 512, "hidden_size": 48,
        "intermediate_size": 192, "num_hidden_layers": 3, "num_attention_heads": 4, "hidden_act": "gelu",
        "layer_norm_eps": 1e-5, "attention_bias": true, "attention_mask": "block_causal", "position_embedding": "learned",
        "max_position_embeddings": 256, "tie_word_embeddings": true, "ignore_index": -100, "patch_size": 14,
        "num_channels": 3, "modality_ids": {"visual": 0, "text": 1}})");
    EXPECT_EQ(c.mask, MaskKind::block_causal);
    EXPECT_TRUE(c.modality_embedding);
    EXPECT_EQ(c.positions, PositionKind::learned);
    EXPECT_EQ(c.activation, static_cast<uint32_t>(VLM_ACT_GELU));
    EXPECT_EQ(c.norm, NormKind::layer);
}

}  // namespace
}  // namespace vlm::decoder
