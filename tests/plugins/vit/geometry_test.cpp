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

TEST(Geometry, TheSquareHasTheMeanColourEvenWherePixelsAreNotNormalised) {
    const Case llava(R"({"patch_size": 14})",
                     R"({"image_processor_type": "LlavaImageProcessor", "do_pad": true, "do_normalize": false,
                         "image_mean": [0.999, 0.0, 0.5]})");
    EXPECT_EQ(llava.at(300, 200).steps[0].fill, (std::array<uint8_t, 3>{254, 0, 127}));  // int(x * 255)
    EXPECT_EQ(llava.config.mean[0], 0.F);
}

TEST(Geometry, SwitchesThatAreNullAreOff) {  // transformers asks whether the value is true
    const Case clip(R"({"patch_size": 14})",
                    R"({"image_processor_type": "CLIPImageProcessor", "do_resize": null, "do_center_crop": null,
                        "do_rescale": null, "do_normalize": null, "rescale_factor": 0.5})");
    EXPECT_TRUE(clip.at(224, 224).steps.empty());
    EXPECT_EQ(clip.config.rescale, 1.0);
    EXPECT_EQ(clip.config.std[0], 1.F);
}

TEST(Geometry, ARescaleFactorMayStandWhereNothingIsRescaled) {
    const Case clip(R"({"patch_size": 14})", R"({"do_rescale": false, "rescale_factor": 0.00392156862745098})");
    EXPECT_EQ(clip.config.rescale, 1.0);
}

TEST(Geometry, ABareSizeIsASquareOrTheShortestEdgeByItsClass) {  // default_to_square of the classes, or of the file
    const auto edge = [](const std::string& name, const std::string& more = "") {
        const Case c(R"({"patch_size": 14})",
                     (R"({"image_processor_type": ")" + name + R"(", "size": 100)" + more + "}").c_str());
        return std::pair(c.config.height, c.config.shortest_edge);
    };
    EXPECT_EQ(edge("CLIPImageProcessor"), std::pair(0, 100));
    EXPECT_EQ(edge("SiglipImageProcessor"), std::pair(0, 100));
    EXPECT_EQ(edge("BlipImageProcessor"), std::pair(100, 0));
    EXPECT_EQ(edge("ViTImageProcessor"), std::pair(100, 0));
    EXPECT_EQ(edge("CLIPImageProcessor", R"(, "default_to_square": true)"), std::pair(100, 0));
    EXPECT_EQ(edge("BlipImageProcessor", R"(, "default_to_square": false)"), std::pair(0, 100));
    EXPECT_THROW(edge("Idefics2ImageProcessor"), vlm::sdk::Error);  // needs both edges
}

TEST(Geometry, ListsAreHeightAndWidth) {
    const Case clip(R"({"patch_size": 14})", R"({"size": [100, 120], "crop_size": [50, 60]})");
    EXPECT_EQ(clip.config.height, 100);
    EXPECT_EQ(clip.config.width, 120);
    EXPECT_EQ(clip.config.crop_height, 50);
    EXPECT_EQ(clip.config.crop_width, 60);
    EXPECT_THROW(Case(R"({"patch_size": 14})", R"({"crop_size": [50]})"), vlm::sdk::Error);
}

TEST(Geometry, AFileWithoutASizeMeansThatOfItsClass) {
    const auto size = [](const char* preprocessor) {
        const Case c(R"({"patch_size": 14, "image_size": 336})", preprocessor);
        return std::array{c.config.height, c.config.shortest_edge, c.config.crop_height};
    };
    EXPECT_EQ(size(R"({"image_processor_type": "CLIPImageProcessor"})"), (std::array{0, 224, 224}));
    EXPECT_EQ(size(R"({"image_processor_type": "BlipImageProcessor"})"), (std::array{384, 0, 384}));
    EXPECT_EQ(size("{}"), (std::array{0, 336, 336}));  // no file: what the tower takes
    // Only the first Idefics has this key; other classes do not look at it.
    EXPECT_EQ(size(R"({"image_processor_type": "IdeficsImageProcessor", "image_size": 50})")[0], 50);
    const Case idefics(R"({"model_type": "idefics_vision", "image_size": 56})",
                       R"({"image_processor_type": "IdeficsImageProcessor", "image_size": 56,
                           "size": {"max_height": 60, "max_width": 70}})");
    EXPECT_EQ(idefics.at(100, 300).width, 56);  // `size` does not count beside it
    EXPECT_EQ(size(R"({"image_processor_type": "CLIPImageProcessor", "image_size": 50})")[0], 0);
}

TEST(Geometry, AFileWithoutAClassMeansThatOfTheModel) {  // IMAGE_PROCESSOR_MAPPING of transformers
    vlm::sdk::ComponentConfig c;
    c.config = vlm::sdk::Config::parse(R"({"patch_size": 14})", "config");
    c.preprocessor = vlm::sdk::Config::parse(R"({"do_rescale": true})", "preprocessor_config.json");
    c.model = vlm::sdk::Config::parse(R"({"model_type": "blip-2"})", "config.json");
    EXPECT_EQ(read_preprocess_config(c, read_config(c)).height, 384);
    c.model = vlm::sdk::Config::parse(R"({"model_type": "idefics3"})", "config.json");
    EXPECT_EQ(read_preprocess_config(c, read_config(c)).cut, Cut::splitting);
}

TEST(Geometry, TilesAreAsLargeAsTheCropElseAsTheSize) {
    const auto tile = [](const std::string& more) {
        const Case next(R"({"patch_size": 14, "image_size": 336})",
                        (R"({"image_processor_type": "LlavaNextImageProcessor", "do_center_crop": false,
                             "size": {"height": 336, "width": 336}, "image_grid_pinpoints": [[672, 672]])" +
                         more + "}")
                            .c_str());
        return next.at(1000, 1000).views.size();
    };
    EXPECT_EQ(tile(R"(, "crop_size": null)"), 5u);
    EXPECT_EQ(tile(""), 10u);  // the class's 224
}

TEST(Geometry, ATowerOfOneSizeRefusesOthers) {
    const Case idefics(R"({"model_type": "idefics_vision", "image_size": 56})",
                       R"({"image_processor_type": "IdeficsImageProcessor", "image_size": 70})");
    EXPECT_THROW(idefics.at(100, 100), vlm::sdk::Error);
    EXPECT_EQ(Case(R"({"model_type": "idefics_vision", "image_size": 56})", R"({"image_size": 56,
        "image_processor_type": "IdeficsImageProcessor"})")
                  .at(100, 100)
                  .width,
              56);
}

TEST(Geometry, TilesAreCutAndCountedByOneList) {
    vlm::sdk::ComponentConfig c;
    c.config = vlm::sdk::Config::parse(R"({"patch_size": 14, "image_size": 336})", "config");
    c.preprocessor = vlm::sdk::Config::parse(
        R"({"image_processor_type": "LlavaNextImageProcessor", "image_grid_pinpoints": [[336, 672], [672, 336]]})",
        "preprocessor_config.json");
    c.model = vlm::sdk::Config::parse(R"({"image_grid_pinpoints": [[672, 336], [336, 672]]})", "config.json");
    EXPECT_EQ(read_preprocess_config(c, read_config(c)).pinpoints.size(), 2u);
    c.model = vlm::sdk::Config::parse(R"({"image_grid_pinpoints": [[672, 336]]})", "config.json");
    EXPECT_THROW(read_preprocess_config(c, read_config(c)), vlm::sdk::Error);
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
