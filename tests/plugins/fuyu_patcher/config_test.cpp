/** @file config_test.cpp
 *  Page sizes against transformers 5.23 (FuyuImageProcessorPil.resize, get_resize_output_image_size of ViLT), and what
 * a configuration refuses.
 */
#include "plugins/fuyu_patcher/config.hpp"

#include <gtest/gtest.h>

namespace vlm::patcher {
namespace {

sdk::ComponentConfig component(const std::string& options, const std::string& preprocessor) {
    return {sdk::Config::parse(options, "config"), sdk::Config(),
            sdk::Config::parse(preprocessor, "preprocessor_config.json"), sdk::Host()};
}

std::string refusal(const std::string& options, const std::string& preprocessor) {
    try {
        read_config(component(options, preprocessor));
    } catch (const sdk::Error& error) {
        return error.what();
    }
    return "";
}

struct Case {
    int32_t width, height, new_width, new_height;
};

TEST(PatcherConfig, ShrinksAsFuyu) {
    const auto c = read_config(
        component(R"({"resize": "shrink", "patch_size": 30})", R"({"size": {"height": 1080, "width": 1920}})"));
    for (const Case& t : {Case{97, 61, 97, 61}, Case{4032, 3024, 1440, 1080}, Case{1080, 1920, 607, 1080},
                          Case{1921, 1080, 1920, 1079}, Case{31, 4000, 8, 1080}, Case{333, 777, 333, 777}}) {
        const Extent page = resized(c, t.width, t.height);
        EXPECT_EQ(page.width, t.new_width) << t.width << " x " << t.height;
        EXPECT_EQ(page.height, t.new_height) << t.width << " x " << t.height;
    }
    EXPECT_THROW(resized(c, 1, 100000), sdk::Error);  // less than a pixel would be left
}

TEST(PatcherConfig, FitsEdgesAsVilt) {
    const std::string options = R"({"resize": "edges", "patch_size": 32})";
    // Old files give the edge as a bare number.
    for (const char* size : {R"({"size": {"shortest_edge": 384}})", R"({"size": 384, "size_divisor": 32})"}) {
        const auto c = read_config(component(options, size));
        for (const Case& t : {Case{97, 61, 608, 384}, Case{61, 97, 384, 608}, Case{640, 480, 512, 384},
                              Case{1000, 300, 608, 192}, Case{384, 384, 384, 384}, Case{333, 777, 256, 608}}) {
            const Extent page = resized(c, t.width, t.height);
            EXPECT_EQ(page.width, t.new_width) << t.width << " x " << t.height;
            EXPECT_EQ(page.height, t.new_height) << t.width << " x " << t.height;
        }
        EXPECT_THROW(resized(c, 1, 10000), sdk::Error);  // narrower than the divisor
    }
}

TEST(PatcherConfig, SwitchesThatAreNullAreOff) {  // transformers asks whether the value is true
    const auto c = read_config(component(R"({"resize": "shrink", "patch_size": 30})",
                                         R"({"do_resize": null, "do_rescale": null, "do_normalize": null})"));
    EXPECT_EQ(c.resize, Resize::none);
    EXPECT_EQ(c.rescale, 1.0);
    EXPECT_EQ(c.std[0], 1.F);
}

TEST(PatcherConfig, CountsPatchesOfARest) {
    const char* native = R"({"do_resize": false, "patch_size": 14})";
    const auto padded = read_config(component(R"({"pad": "after_normalize"})", native));
    EXPECT_EQ(patch_grid(padded, {97, 61}).width, 7);
    EXPECT_EQ(patch_grid(padded, {97, 61}).height, 5);
    EXPECT_EQ(patch_grid(padded, {98, 56}).height, 4);
    EXPECT_EQ(patch_grid(padded, {1, 1}).width, 1);
    const auto cut = read_config(component("{}", native));
    EXPECT_EQ(patch_grid(cut, {97, 61}).width, 6);
    EXPECT_THROW(patch_grid(cut, {97, 13}), sdk::Error);
}

TEST(PatcherConfig, RefusesByName) {
    EXPECT_NE(refusal(R"({"resise": "none"})", "{}").find("resise"), std::string::npos);
    EXPECT_NE(refusal("{}", R"({"do_center_crop": true})").find("do_center_crop"), std::string::npos);
    EXPECT_NE(refusal("{}", R"({"padding_mode": "reflect"})").find("padding_mode"), std::string::npos);
    EXPECT_NE(refusal("{}", R"({"image_std": [0.5, 0, 0.5]})").find("image_std"), std::string::npos);
    EXPECT_NE(refusal(R"({"patch_size": 0})", "{}").find("patch_size"), std::string::npos);
    EXPECT_NE(refusal(R"({"num_channels": 1})", "{}").find("num_channels"), std::string::npos);
    EXPECT_NE(refusal(R"({"pad": "before_normalize"})", R"({"padding_value": 0.5})").find("padding_value"),
              std::string::npos);
    EXPECT_EQ(refusal(R"({"resize": "shrink", "pad": "before_normalize", "order": "channel_last"})",
                      R"({"image_mean": 0.5, "image_std": 0.5, "patch_size": {"height": 30, "width": 30}})"),
              "");
}

}  // namespace
}  // namespace vlm::patcher
