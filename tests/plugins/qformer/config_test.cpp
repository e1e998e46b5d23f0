/** @file config_test.cpp
 *  Configuration of the Q-Former: class defaults, refusals by name.
 */
#include "plugins/qformer/config.hpp"

#include <gtest/gtest.h>

namespace vlm::qformer {
namespace {

QFormerConfig read(const std::string& text) {
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

TEST(QFormerConfig, LeavesTheRestToTheClassDefaults) {
    const QFormerConfig c = read(R"({"output_size": 2560})");
    EXPECT_EQ(c.queries, 32);
    EXPECT_EQ(c.hidden, 768);
    EXPECT_EQ(c.intermediate, 3072);
    EXPECT_EQ(c.encoder_hidden, 1408);
    EXPECT_EQ(c.layers, 12);
    EXPECT_EQ(c.head_dim(), 64);
    EXPECT_EQ(c.cross_frequency, 2);
    EXPECT_FLOAT_EQ(c.norm_eps, 1e-12F);
    EXPECT_EQ(c.activation, uint32_t{VLM_ACT_GELU});
    EXPECT_FALSE(c.reads_prompt);
}

TEST(QFormerConfig, ReadsWhatIsGiven) {
    const QFormerConfig c = read(
        R"({"output_size": 8, "hidden_size": 40, "num_attention_heads": 5, "cross_attention_frequency": 3,
            "hidden_act": "relu", "layer_norm_eps": 1e-5, "reads_prompt": true, "position_embedding_type": "absolute",
            "is_decoder": false, "use_qformer_text_input": true})");
    EXPECT_EQ(c.head_dim(), 8);
    EXPECT_EQ(c.cross_frequency, 3);
    EXPECT_EQ(c.activation, uint32_t{VLM_ACT_RELU});
    EXPECT_TRUE(c.reads_prompt);
}

TEST(QFormerConfig, RefusesByName) {
    EXPECT_NE(failure(R"({"hidden_size": 768})").find("output_size"), std::string::npos);
    EXPECT_NE(failure(R"({"output_size": 8, "gated": true})").find("gated"), std::string::npos);
    EXPECT_NE(failure(R"({"output_size": 8, "num_attention_heads": 7})").find("7 heads"), std::string::npos);
    EXPECT_NE(failure(R"({"output_size": 8, "num_hidden_layers": 0})").find("num_hidden_layers"), std::string::npos);
    EXPECT_NE(failure(R"({"output_size": 8, "position_embedding_type": "relative_key"})").find("relative_key"),
              std::string::npos);
    EXPECT_NE(failure(R"({"output_size": 8, "layer_norm_eps": 0})").find("layer_norm_eps"), std::string::npos);
    EXPECT_NE(failure(R"({"output_size": 4611686018427387904})").find("out of range"), std::string::npos);
}

}  // namespace
}  // namespace vlm::qformer
