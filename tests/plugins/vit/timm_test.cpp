/** @file timm_test.cpp
 *  Towers named by timm ids: geometry, preprocessing of each, and what is refused.
 */
#include "plugins/vit/timm.hpp"

#include <gtest/gtest.h>

#include "plugins/vit/config.hpp"
#include "plugins/vit/geometry.hpp"

namespace vlm::vit {
namespace {

using nlohmann::json;

json config() {
    return {{"timm_model_ids", {"vit_large_patch14_reg4_dinov2.lvd142m", "vit_so400m_patch14_siglip_224"}},
            {"image_sizes", {224, 224}},
            {"use_fused_vision_backbone", true},
            {"timm_override_act_layers", {nullptr, nullptr}},
            {"image_resize_strategy", "resize-naive"}};
}

json preprocessor() {
    return {{"image_processor_type", "PrismaticImageProcessor"}, {"input_sizes", {{3, 224, 224}, {3, 224, 224}}},
            {"interpolations", {"bicubic", "bilinear"}},         {"means", {{0.1, 0.2, 0.3}, {0.5, 0.5, 0.5}}},
            {"stds", {{0.4, 0.5, 0.6}, {0.5, 0.5, 0.5}}},        {"tvf_do_letterbox", false}};
}

std::vector<TowerSpec> towers(const json& config, const json& preprocessor) {
    return timm_towers({sdk::Config::parse(config.dump(), "config"), sdk::Config(),
                        sdk::Config::parse(preprocessor.dump(), "preprocessor_config.json"), sdk::Host()});
}

std::string refusal(const json& config, const json& preprocessor) {
    try {
        towers(config, preprocessor);
    } catch (const sdk::Error& error) {
        return error.what();
    }
    return "";
}

TEST(Timm, KnowsTheTowersOfPrismatic) {
    const auto list = towers(config(), preprocessor());
    ASSERT_EQ(list.size(), 2U);
    EXPECT_EQ(list[0].prefix, "featurizer.");
    EXPECT_EQ(list[1].prefix, "fused_featurizer.");
    const VitConfig dino = read_config(list[0].component), siglip = read_config(list[1].component);
    EXPECT_EQ(dino.hidden, 1024);
    EXPECT_EQ(dino.layers, 24);
    EXPECT_EQ(dino.prefix(), 5);  // class token and four registers
    EXPECT_TRUE(dino.drop_prefix);
    EXPECT_EQ(siglip.hidden, 1152);
    EXPECT_EQ(siglip.prefix(), 0);
    EXPECT_EQ(siglip.feature_layers, (std::vector<int32_t>{26}));  // behind the last but one of 27 blocks
    const auto first = read_preprocess_config(list[0].component, dino);
    const auto second = read_preprocess_config(list[1].component, siglip);
    EXPECT_FLOAT_EQ(first.mean[1], 0.2F);
    EXPECT_FLOAT_EQ(first.std[2], 0.6F);
    EXPECT_EQ(first.filter, VLM_RESAMPLE_BICUBIC);
    EXPECT_EQ(second.filter, VLM_RESAMPLE_BILINEAR);
    EXPECT_EQ(first.width, 224);
    EXPECT_FALSE(first.crop);
}

TEST(Timm, GeometryOverridesTheTable) {
    json own = config();
    own["image_sizes"] = {42, 42};
    own["timm_geometry"] = {{"patch_size", 14},
                            {"depth", 4},
                            {"num_heads", 4},
                            {"num_registers", 2},
                            {"dims", {{"featurizer", 36}, {"fused_featurizer", 40}}}};
    const auto list = towers(own, preprocessor());
    const VitConfig dino = read_config(list[0].component), siglip = read_config(list[1].component);
    EXPECT_EQ(dino.hidden, 36);
    EXPECT_EQ(dino.registers, 2);
    EXPECT_EQ(siglip.hidden, 40);
    EXPECT_EQ(siglip.registers, 0);
    EXPECT_EQ(siglip.layers, 4);
}

TEST(Timm, RefusesByName) {
    json bad = config();
    bad["timm_model_ids"] = {"vit_giant_patch14_reg4_dinov2", "vit_so400m_patch14_siglip_224"};
    EXPECT_NE(refusal(bad, preprocessor()).find("vit_giant"), std::string::npos);
    bad = config();
    bad["timm_model_ids"] = {"vit_so400m_patch14_siglip_224"};
    EXPECT_NE(refusal(bad, preprocessor()).find("expected two ids"), std::string::npos);
    json pre = preprocessor();
    pre["means"] = json::array({json::array({0.5, 0.5, 0.5})});
    EXPECT_NE(refusal(config(), pre).find("means"), std::string::npos);
    pre = preprocessor();
    pre["tvf_do_letterbox"] = true;
    EXPECT_NE(refusal(config(), pre).find("tvf_do_letterbox"), std::string::npos);
    bad = config();
    bad["image_resize_strategy"] = "letterbox";
    EXPECT_NE(refusal(bad, preprocessor()).find("letterbox"), std::string::npos);
    bad = config();
    bad["window_size"] = 7;
    EXPECT_NE(refusal(bad, preprocessor()).find("window_size"), std::string::npos);
}

}  // namespace
}  // namespace vlm::vit
