/** @file draw_test.cpp
 *  PNG output read back, and drawing that stays within boxes and picture.
 */
#include "host/image/draw.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"
#include "tests/host/image/image_cases.hpp"

namespace vlm {
namespace {

TEST(EncodePng, ReadsBackEqual) {
    for (const int channels : {1, 3, 4}) {
        for (const int width : {1, 37, 300}) {
            const Image image = test::noise_image(width, 23, channels, 3);
            const Image back = decode_memory(encode_png(image), {}, ColorMode::kKeep);
            EXPECT_EQ(back.channels, channels);
            EXPECT_EQ(back.width, width);
            EXPECT_EQ(back.pixels, image.pixels);
        }
    }
    EXPECT_THROW(encode_png(Image{}), Error);
}

TEST(EncodePng, WritesAFile) {
    const auto path = std::filesystem::path(testing::TempDir()) / "vlm_draw_test.png";
    const Image image = test::noise_image(9, 8, 3, 1);
    write_png(path, image);
    EXPECT_EQ(decode_file(path).pixels, image.pixels);
    std::filesystem::remove(path);
    EXPECT_THROW(write_png("/nonexistent/folder/x.png", image), Error);
}

/** The gray values of a picture as rows of digits. */
std::string digits(const Image& image) {
    std::string text;
    for (int y = 0; y < image.height; ++y) {
        for (int x = 0; x < image.width; ++x) text += static_cast<char>('0' + image.row(y)[x]);
        text += '\n';
    }
    return text;
}

TEST(DrawBox, OutlinesInside) {
    Image image = make_image(6, 5, 1);
    draw_box(image, {1, 1, 5, 5}, {7});
    EXPECT_EQ(digits(image), "000000\n077770\n070070\n070070\n077770\n");
}

TEST(DrawBox, ClipsToThePicture) {
    Image image = make_image(4, 3, 1);
    draw_box(image, {-5, 1, 2, 90}, {7});
    EXPECT_EQ(digits(image), "0000\n7700\n0700\n");
    const Image before = image;
    draw_box(image, {10, 10, 20, 20}, {7});
    draw_box(image, {2, 2, 2, 3}, {7});
    EXPECT_EQ(image.pixels, before.pixels);
    const int most = std::numeric_limits<int>::max();
    draw_box(image, {-most, -most, most, most}, {7}, most);
    EXPECT_EQ(image.pixels, std::vector<uint8_t>(12, 7));
}

TEST(BlendBox, MixesColours) {
    Image image = make_image(2, 1, 4, 100);
    blend_box(image, {0, 0, 1, 1}, {200, 0, 100, 0}, 0.5f);
    EXPECT_EQ(image.pixels, (std::vector<uint8_t>{150, 50, 100, 100, 100, 100, 100, 100}));
    EXPECT_THROW(blend_box(image, {0, 0, 1, 1}, {}, 1.5f), Error);
}

TEST(HeatColor, CoversTheRange) {
    EXPECT_EQ(heat_color(0.0f), (Color{68, 1, 84, 255}));
    EXPECT_EQ(heat_color(1.0f), (Color{253, 231, 37, 255}));
    EXPECT_EQ(heat_color(0.5f), (Color{33, 144, 141, 255}));
    EXPECT_EQ(heat_color(-3.0f), heat_color(0.0f));
    EXPECT_EQ(heat_color(std::numeric_limits<float>::infinity()), heat_color(1.0f));
    EXPECT_EQ(heat_color(std::numeric_limits<float>::quiet_NaN()), heat_color(0.0f));
}

TEST(OverlayHeatMap, ShowsCells) {
    const Image image = make_image(4, 2, 1, 10);
    const std::vector<float> values = {3, 5};
    HeatMapOptions options;
    options.opacity = 1.0f;
    options.smooth = false;
    const Image out = overlay_heat_map(image, values, 1, 2, options);
    ASSERT_EQ(out.channels, 3);
    const auto color_at = [&](int x) { return std::vector<int>(out.row(1) + 3 * x, out.row(1) + 3 * x + 3); };
    EXPECT_EQ(color_at(0), (std::vector<int>{68, 1, 84}));
    EXPECT_EQ(color_at(1), (std::vector<int>{68, 1, 84}));
    EXPECT_EQ(color_at(2), (std::vector<int>{253, 231, 37}));
    options.low = 1;
    options.high = 5;
    const Image fixed = overlay_heat_map(image, values, 1, 2, options);
    EXPECT_EQ(std::vector<int>(fixed.row(0), fixed.row(0) + 3), (std::vector<int>{33, 144, 141}));
    options.opacity = 0.0f;
    EXPECT_EQ(overlay_heat_map(image, values, 1, 2, options).pixels, std::vector<uint8_t>(24, 10));
}

TEST(OverlayHeatMap, RefusesWrongArguments) {
    const Image image = make_image(4, 2, 1, 10);
    const std::vector<float> values = {3, 5};
    EXPECT_THROW(overlay_heat_map(image, values, 1, 3), Error);
    EXPECT_THROW(overlay_heat_map(image, values, 0, 2), Error);
    EXPECT_NO_THROW(overlay_heat_map(image, std::vector<float>{4, 4}, 2, 1));
}

}  // namespace
}  // namespace vlm
