/** @file config_test.cpp
 *  Configuration of resamplers: styles, class defaults, refusals by name.
 */
#include "plugins/perceiver/config.hpp"

#include <gtest/gtest.h>

namespace vlm::perceiver {
namespace {

PerceiverConfig read(const std::string& text) {
    return read_config(sdk::Config::parse(text, "config"));
}

std::string failure(const std::string& text) {
    try {
        read(text);
    } catch (const sdk::Error& error) {
        return error.what();
    }
    return "accepted";
}

TEST(PerceiverConfig, IdeficsDefaults) {
    const PerceiverConfig c = read(R"({"style": "idefics"})");
    EXPECT_EQ(c.latents, 64);
    EXPECT_EQ(c.depth, 6);
    EXPECT_EQ(c.heads, 16);
    EXPECT_EQ(c.head_dim, 96);
    EXPECT_EQ(c.hidden, 768);
    EXPECT_EQ(c.mlp, 3072);
    EXPECT_EQ(c.mlp_act, uint32_t{VLM_ACT_RELU});
    EXPECT_FALSE(c.qk_norm);
    EXPECT_EQ(c.delivery, uint32_t{VLM_DELIVERY_CROSS_ATTENTION});
}

TEST(PerceiverConfig, Idefics2Defaults) {
    const PerceiverConfig c = read(R"({"style": "idefics2", "output_size": 4096})");
    EXPECT_EQ(c.depth, 3);
    EXPECT_EQ(c.kv_heads, 4);
    EXPECT_EQ(c.hidden, 4096);
    EXPECT_EQ(c.projection, 14336);
    EXPECT_TRUE(c.rms);
    EXPECT_FLOAT_EQ(c.norm_eps, 1e-6F);
    EXPECT_EQ(c.delivery, uint32_t{VLM_DELIVERY_INLINE});
}

TEST(PerceiverConfig, Kosmos2AndFlamingoDefaults) {
    const PerceiverConfig kosmos = read(R"({"style": "kosmos2"})");
    EXPECT_EQ(kosmos.hidden, 2048);
    EXPECT_EQ(kosmos.head_dim, 64);
    EXPECT_TRUE(kosmos.l2_normalize);
    EXPECT_FALSE(kosmos.residual);
    const PerceiverConfig flamingo = read(R"({"style": "flamingo", "input_size": 1024})");
    EXPECT_EQ(flamingo.heads, 8);
    EXPECT_EQ(flamingo.head_dim, 64);
    EXPECT_EQ(flamingo.mlp, 4096);
    EXPECT_EQ(flamingo.names.kv, "0.to_kv");
}

TEST(PerceiverConfig, RefusesByName) {
    EXPECT_NE(failure(R"({})").find("style"), std::string::npos);
    EXPECT_NE(failure(R"({"style": "idefics", "frames": 2})").find("frames"), std::string::npos);
    EXPECT_NE(failure(R"({"style": "idefics", "resampler_depth": 0})").find("resampler_depth"), std::string::npos);
    EXPECT_NE(failure(R"({"style": "idefics2", "num_key_value_heads": 5})").find("num_key_value_heads"),
              std::string::npos);
    EXPECT_NE(failure(R"({"style": "idefics2", "output_size": 48})").find("hidden_size"), std::string::npos);
    EXPECT_NE(failure(R"({"style": "kosmos2", "attention_heads": 3})").find("3 heads"), std::string::npos);
}

}  // namespace
}  // namespace vlm::perceiver
