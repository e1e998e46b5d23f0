/** @file config_test.cpp
 *  Which configurations a tower accepts, and what it says about the others.
 */
#include "plugins/vit/config.hpp"

#include <gtest/gtest.h>

#include "plugins/vit/geometry.hpp"

namespace {

using vlm::vit::read_config;

vlm::sdk::ComponentConfig component(const char* section, const char* preprocessor = "{}") {
    vlm::sdk::ComponentConfig c;
    c.config = vlm::sdk::Config::parse(section, "config");
    c.preprocessor = vlm::sdk::Config::parse(preprocessor, "preprocessor_config.json");
    return c;
}

std::string refusal(const char* section, const char* preprocessor = "{}") {
    try {
        const auto c = component(section, preprocessor);
        vlm::vit::read_preprocess_config(c, read_config(c));
    } catch (const vlm::sdk::Error& error) {
        EXPECT_EQ(error.status(), VLM_STATUS_INVALID_ARGUMENT);
        return error.what();
    }
    return "accepted";
}

TEST(VitConfig, MissingKeysTakeTheDefaultsOfTheClass) {
    const auto clip = read_config(component(R"({"model_type": "clip_vision_model"})"));
    EXPECT_EQ(clip.hidden, 768);
    EXPECT_EQ(clip.patch_height, 32);
    EXPECT_EQ(clip.activation, uint32_t{VLM_ACT_QUICK_GELU});
    EXPECT_TRUE(clip.pooled);
    const auto qwen = read_config(component(R"({"model_type": "qwen2_vl", "hidden_size": 1536})"));
    EXPECT_EQ(qwen.hidden, 1280);
    EXPECT_EQ(qwen.intermediate, 5120);
    EXPECT_EQ(qwen.last_needed(), 32);
    const auto windowed = read_config(component(R"({"model_type": "qwen2_5_vl_vision"})"));
    EXPECT_EQ(windowed.full_layers, (std::vector<int32_t>{7, 15, 23, 31}));
}

TEST(VitConfig, FeatureLayersCountFromTheEmbeddings) {
    const auto last_but_one = read_config(component(R"({"vision_feature_layer": -2})"));
    EXPECT_EQ(last_but_one.feature_layers, std::vector<int32_t>{11});
    EXPECT_TRUE(last_but_one.drop_prefix);
    EXPECT_FALSE(last_but_one.pooled);
    EXPECT_EQ(last_but_one.last_needed(), 11);
    const auto two =
        read_config(component(R"({"vision_feature_layer": [-2, 3], "vision_feature_select_strategy": "full"})"));
    EXPECT_EQ(two.feature_size(), 2 * 768);
    EXPECT_FALSE(two.drop_prefix);
}

TEST(VitConfig, SaysWhatItDoesNotTake) {
    EXPECT_NE(refusal(R"({"model_type": "swin"})").find("'swin'"), std::string::npos);
    EXPECT_NE(refusal(R"({"hiden_size": 32})").find("hiden_size"), std::string::npos);
    EXPECT_NE(refusal(R"({"hidden_size": 30, "num_attention_heads": 4})").find("no multiple of 4 heads"),
              std::string::npos);
    EXPECT_NE(refusal(R"({"hidden_size": "wide"})").find("expected an integer"), std::string::npos);
    EXPECT_NE(refusal(R"({"vision_feature_layer": -14})").find("beyond the 12 layers"), std::string::npos);
    EXPECT_NE(refusal(R"({"hidden_act": "mish"})").find("'mish'"), std::string::npos);
    EXPECT_NE(refusal(R"({"model_type": "qwen2_vl", "embed_dim": 24, "num_heads": 4})").find("multiple of 4"),
              std::string::npos);
    // LLaVA's "default" would leave out a patch of the picture where there is no class token.
    EXPECT_NE(refusal(R"({"model_type": "siglip_vision_model", "vision_feature_select_strategy": "default"})")
                  .find("vision_feature_select_strategy"),
              std::string::npos);
    EXPECT_NE(refusal("{}", R"({"image_processor_type": "DonutImageProcessor"})").find("DonutImageProcessor"),
              std::string::npos);
    EXPECT_NE(refusal("{}", R"({"do_shear": true})").find("do_shear"), std::string::npos);
    EXPECT_NE(refusal("{}", R"({"image_std": [1, 0, 1]})").find("image_std"), std::string::npos);
}

}  // namespace
