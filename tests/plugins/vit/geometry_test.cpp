/** @file geometry_test.cpp
 *  Sizes and tiles against values of the reference image processors (transformers 5.23, PIL back-end).
 */
#include "plugins/vit/geometry.hpp"

#include <gtest/gtest.h>

namespace {

using namespace vlm::vit;

struct Case {
    VitConfig tower;
    PreprocessConfig config;
    Case(const char* section, const char* preprocessor) {
        vlm::sdk::ComponentConfig c;
        c.config = vlm::sdk::Config::parse(section, "config");
        c.preprocessor = vlm::sdk::Config::parse(preprocessor, "preprocessor_config.json");
        tower = read_config(c);
        config = read_preprocess_config(c, tower);
    }
    Geometry at(int32_t width, int32_t height) const { return make_geometry(config, tower, width, height); }
};

TEST(Geometry, ShortestEdgeTruncatesAndTheCropIsCentred) {
    const Case clip(R"({"patch_size": 14})",
                    R"({"image_processor_type": "CLIPImageProcessorFast", "size": {"shortest_edge": 224}})");
    const Geometry g = clip.at(640, 427);
    ASSERT_EQ(g.steps.size(), 2u);
    EXPECT_EQ(g.steps[0].width, 335);  // int(224 * 640 / 427) = 335.7…
    EXPECT_EQ(g.steps[0].height, 224);
    EXPECT_EQ(g.steps[1].left, 55);  // (335 - 224) // 2
    EXPECT_EQ(g.width, 224);
}

TEST(Geometry, CropOfASmallPictureIsPaddedOnAllSides) {
    const Case clip(R"({"patch_size": 14})", R"({"image_processor_type": "CLIPImageProcessor", "do_resize": false})");
    const Geometry g = clip.at(101, 300);
    ASSERT_EQ(g.steps.size(), 1u);
    EXPECT_EQ(g.steps[0].left, -62);  // ceil((224 - 101) / 2) zeros on the left
    EXPECT_EQ(g.steps[0].top, 38);
}

TEST(Geometry, PadsToASquareOfTheMeanColour) {
    const Case llava(R"({"patch_size": 14, "pad_to_square": true})",
                     R"({"image_processor_type": "CLIPImageProcessor"})");
    const Geometry g = llava.at(300, 200);
    EXPECT_TRUE(g.steps[0].window);
    EXPECT_EQ(g.steps[0].top, -50);
    EXPECT_EQ(g.steps[0].width, 300);
    EXPECT_EQ(g.steps[0].fill, (std::array<uint8_t, 3>{122, 116, 104}));
}

TEST(Geometry, SmartSizesAreMultiplesWithinTheBudget) {
    const Case qwen(R"({"model_type": "qwen2_vl"})", "{}");
    EXPECT_EQ(qwen.at(1000, 700).width, 1008);  // round(1000 / 28) * 28
    EXPECT_EQ(qwen.at(1000, 700).height, 700);
    EXPECT_EQ(qwen.at(70, 70).width, 56);  // Python rounds 2.5 to 2
    EXPECT_EQ(qwen.at(20, 10).height, 56);
    EXPECT_EQ(qwen.at(20, 10).width, 84);
    EXPECT_LE(int64_t{qwen.at(4000, 3000).width} * qwen.at(4000, 3000).height, 28 * 28 * 1280);
    EXPECT_THROW(qwen.at(2010, 10), vlm::sdk::Error);
}

TEST(Geometry, TilesFollowTheAspectRatioAndEndWithAThumbnail) {
    const Case internvl(
        R"({"model_type": "internvl_vision"})",
        R"({"image_processor_type": "GotOcr2ImageProcessor", "crop_to_patches": true, "size": {"height": 448, "width": 448}})");
    const Geometry wide = internvl.at(1600, 800);
    EXPECT_EQ(wide.views.size(), 9u);  // 4 x 2 tiles: more pixels than 2 x 1 can show
    EXPECT_FALSE(wide.views.front().global);
    EXPECT_EQ(wide.views[4].tile_row, 1);
    EXPECT_TRUE(wide.views.back().global);
    EXPECT_EQ(internvl.at(300, 300).views.size(), 1u);
}

TEST(Geometry, AnyResolutionKeepsTheBaseViewFirst) {
    const Case next(R"({"patch_size": 14, "image_size": 336, "vision_feature_layer": -2})",
                    R"({"image_processor_type": "LlavaNextImageProcessor", "size": {"shortest_edge": 336},
                        "crop_size": {"height": 336, "width": 336}})");
    const Geometry g = next.at(1000, 500);
    EXPECT_TRUE(g.views.front().global);
    EXPECT_EQ(g.views.size(), 3u);  // 336 x 672: all the pixels of the picture and the least waste
    EXPECT_EQ(g.width, 336);
}

TEST(Geometry, RefusesWhatWouldTakeAllMemory) {
    const Case clip(R"({"patch_size": 14})", R"({"image_processor_type": "CLIPImageProcessor"})");
    EXPECT_THROW(clip.at(60000, 1), vlm::sdk::Error);
    EXPECT_THROW(clip.at(0, 10), vlm::sdk::Error);
    EXPECT_THROW(clip.at(70000, 70000), vlm::sdk::Error);
}

TEST(Geometry, QuartersKeepTheirOwnSizeWhereTheTowerPlacesPatchesByFractions) {
    const char* preprocessor = R"({"image_processor_type": "Idefics2ImageProcessor", "do_image_splitting": true,
                                   "size": {"shortest_edge": 378, "longest_edge": 980}})";
    const Geometry g = Case(R"({"model_type": "idefics2", "patch_size": 14})", preprocessor).at(1081, 1440);
    ASSERT_EQ(g.views.size(), 5u);
    EXPECT_EQ(g.views[0].width, 540);
    EXPECT_EQ(g.views[1].width, 541);  // the right half has the odd column
    EXPECT_EQ(g.views[0].height, 720);
    EXPECT_TRUE(g.views[4].global);
    EXPECT_EQ(g.views[4].height, 980);
    EXPECT_EQ(g.views[4].width, 735);  // int(980 * 1081 / 1440)
    EXPECT_EQ(g.height, 980);          // smaller views are padded to the largest
    EXPECT_THROW(Case(R"({"model_type": "siglip_vision_model"})", preprocessor).at(1081, 1440), vlm::sdk::Error);
}

}  // namespace
