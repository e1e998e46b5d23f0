/** @file patcher_test.cpp
 *  Pixels of the patcher, made with the host's image service.
 */
#include "plugins/fuyu_patcher/patcher.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "host/services/services.hpp"

namespace vlm::patcher {
namespace {

TEST(Patcher, CutsChannelLast) {
    // Two channels would do; the reference's order is [y, x, channel] within a patch, patches in raster order.
    std::vector<float> canvas(3 * 2 * 4);
    std::iota(canvas.begin(), canvas.end(), 0.F);
    std::vector<float> rows(canvas.size());
    cut_channel_last(canvas, {4, 2}, {2, 2}, rows);
    EXPECT_EQ(rows, (std::vector<float>{0, 8,  16, 1, 9,  17, 4, 12, 20, 5, 13, 21,
                                        2, 10, 18, 3, 11, 19, 6, 14, 22, 7, 15, 23}));
}

class PatcherPixels : public testing::Test {
  protected:
    static const void* service(void*, const char* id) { return find_service(id); }

    std::vector<float> pixels(const std::string& options, const std::string& preprocessor, int32_t width,
                              int32_t height, sdk::VisionPlan* planned = nullptr) {
        auto info = sdk::make_struct<vlm_host_info>();
        info.get_service = &service;
        const Patcher patcher({sdk::Config::parse(options, "config"), sdk::Config(),
                               sdk::Config::parse(preprocessor, "preprocessor_config.json"), sdk::Host(&info)});
        std::vector<uint8_t> bytes(static_cast<size_t>(3 * width * height), 255);
        auto image = sdk::make_struct<vlm_image>();
        image.width = width;
        image.height = height;
        image.pixels = bytes.data();
        const auto plan = patcher.plan(width, height);
        if (planned != nullptr) *planned = plan;
        sdk::HostTensor<float> out(plan.pixel_shape);
        const auto context = sdk::make_struct<vlm_run_context>();
        patcher.preprocess(sdk::Run(&context), image, out.view());
        return out.data();
    }
};

TEST_F(PatcherPixels, PadsWithOneBeforeNormalising) {
    sdk::VisionPlan plan;
    const auto out =
        pixels(R"({"patch_size": 2, "resize": "shrink", "pad": "before_normalize", "order": "channel_last"})",
               R"({"size": {"height": 8, "width": 8}, "padding_value": 1.0})", 3, 2, &plan);
    EXPECT_EQ(plan.feature_rows, 2);
    EXPECT_EQ(plan.pixel_shape, (sdk::Shape{2, 12}));
    ASSERT_EQ(out.size(), 24U);
    EXPECT_FLOAT_EQ(out[12], 1.F);                          // white, normalised
    EXPECT_FLOAT_EQ(out[15], (1.F / 255.F - 0.5F) / 0.5F);  // the value 1 on the scale to 255
}

TEST_F(PatcherPixels, PadsWithZeroBehindNormalising) {
    sdk::VisionPlan plan;
    const auto out = pixels(R"({"pad": "after_normalize"})",
                            R"({"do_resize": false, "patch_size": 2, "padding_value": 0.0})", 3, 3, &plan);
    EXPECT_EQ(plan.pixel_shape, (sdk::Shape{1, 3, 4, 4}));
    EXPECT_EQ(plan.feature_rows, 4);
    for (size_t i = 0; i < out.size(); ++i) {
        const size_t x = i % 4, y = i / 4 % 4;
        EXPECT_FLOAT_EQ(out[i], x < 3 && y < 3 ? 1.F : 0.F) << i;
    }
}

TEST_F(PatcherPixels, LeavesARestOutWithoutPadding) {
    sdk::VisionPlan plan;
    const auto out = pixels(R"({"patch_size": 2})", R"({"do_resize": false})", 5, 3, &plan);
    EXPECT_EQ(plan.pixel_shape, (sdk::Shape{1, 3, 3, 5}));
    EXPECT_EQ(plan.feature_rows, 2);
    EXPECT_EQ(out.size(), 45U);
}

}  // namespace
}  // namespace vlm::patcher
