/** @file process_test.cpp
 *  Processing against transformers (tables made by make_image_goldens.py) and against whole reference processors.
 */
#include "host/image/process.hpp"

#include <gtest/gtest.h>

#include <numeric>

#include "host/base/error.hpp"
#include "tests/host/image/image_cases.hpp"

namespace vlm {
namespace {

TEST(Process, EqualsTransformers) {
    size_t crops = 0, normalised = 0, converted = 0;
    for (const std::string& line : test::read_cases("process_cases.txt")) {
        std::istringstream in(line);
        std::string kind, hash;
        in >> kind;
        if (kind == "center_crop") {
            int width, height, crop_width, crop_height;
            uint32_t seed;
            in >> width >> height >> crop_width >> crop_height >> seed >> hash;
            const Image out = center_crop(test::noise_image(width, height, 3, seed), crop_width, crop_height);
            EXPECT_EQ(test::fnv(out.pixels), hash) << line;
            ++crops;
        } else if (kind == "normalize") {
            NormalizeOptions options;
            options.mean.resize(3);
            options.std.resize(3);
            in >> options.rescale_factor;
            for (double& v : options.mean) in >> v;
            for (double& v : options.std) in >> v;
            in >> hash;
            EXPECT_EQ(test::fnv(rescale_normalize(test::noise_image(19, 13, 3, 5), options)), hash) << line;
            ++normalised;
        } else {
            int channels;
            in >> channels >> hash;
            const Image image = test::noise_image(23, 11, channels, 9);
            EXPECT_EQ(test::fnv((kind == "to_rgb" ? to_rgb(image) : to_gray(image)).pixels), hash) << line;
            ++converted;
        }
        ASSERT_FALSE(in.fail()) << line;
    }
    EXPECT_EQ(crops, 6u);
    EXPECT_EQ(normalised, 9u);
    EXPECT_EQ(converted, 6u);
}

TEST(Process, RescaleArithmeticsDifferInTheLastBit) {
    Image image = make_image(256, 1, 1);
    std::iota(image.pixels.begin(), image.pixels.end(), uint8_t{0});
    NormalizeOptions options;
    options.do_normalize = false;
    options.arithmetic = RescaleArithmetic::kDoubleMultiply;
    const std::vector<float> in_double = rescale_normalize(image, options);
    options.arithmetic = RescaleArithmetic::kFloatMultiply;
    const std::vector<float> in_float = rescale_normalize(image, options);
    options.arithmetic = RescaleArithmetic::kFloatDivide;
    const std::vector<float> divided = rescale_normalize(image, options);
    size_t different = 0;
    for (size_t v = 0; v < 256; ++v) {
        EXPECT_EQ(in_double[v], static_cast<float>(static_cast<double>(v) * (1.0 / 255.0)));
        EXPECT_EQ(in_float[v], static_cast<float>(v) * static_cast<float>(1.0 / 255.0));
        EXPECT_EQ(divided[v], static_cast<float>(v) / 255.0f);
        different += in_double[v] != in_float[v];
    }
    EXPECT_GT(different, 0u);
}

TEST(Process, NormalizeWithoutRescale) {
    Image image = make_image(2, 1, 3);
    image.pixels = {0, 10, 20, 30, 40, 50};
    NormalizeOptions options;
    options.do_rescale = false;
    options.mean = {10, 20, 30};
    options.std = {2};
    EXPECT_EQ(rescale_normalize(image, options), (std::vector<float>{-5, 10, -5, 10, -5, 10}));
    options.layout = PixelLayout::kHwc;
    EXPECT_EQ(rescale_normalize(image, options), (std::vector<float>{-5, -5, -5, 10, 10, 10}));
    options.do_normalize = false;
    EXPECT_EQ(rescale_normalize(image, options), (std::vector<float>{0, 10, 20, 30, 40, 50}));
}

TEST(Process, CropTakesTheRegion) {
    Image image = make_image(4, 3, 1);
    std::iota(image.pixels.begin(), image.pixels.end(), uint8_t{0});
    EXPECT_EQ(crop(image, 1, 1, 2, 2).pixels, (std::vector<uint8_t>{5, 6, 9, 10}));
    EXPECT_EQ(crop(image, 0, 0, 4, 3).pixels, image.pixels);
    EXPECT_THROW(crop(image, 3, 0, 2, 1), Error);
    EXPECT_THROW(crop(image, -1, 0, 2, 1), Error);
    EXPECT_THROW(crop(image, 0, 0, 0, 1), Error);
    EXPECT_THROW(crop(image, 0, 2147483647, 1, 1), Error);
    EXPECT_THROW(crop(image, 0, 0, 2147483647, 1), Error);
}

TEST(Process, CenterCropFills) {
    const Image image = make_image(1, 1, 3, 9);
    const Image out = center_crop(image, 2, 3, {1, 2, 3});
    // ceil((2 - 1) / 2) = 1 column and one row before the picture.
    EXPECT_EQ(out.pixels, (std::vector<uint8_t>{1, 2, 3, 1, 2, 3, 1, 2, 3, 9, 9, 9, 1, 2, 3, 1, 2, 3}));
    EXPECT_THROW(center_crop(image, 0, 3), Error);
}

TEST(Process, PadSurrounds) {
    const Image image = make_image(1, 1, 1, 7);
    EXPECT_EQ(pad(image, 2, 0, 1, 1, {5}).pixels, (std::vector<uint8_t>{5, 5, 7, 5, 5, 5, 5, 5}));
    EXPECT_THROW(pad(image, -1, 0, 0, 0), Error);
    EXPECT_THROW(pad(image, 1 << 30, 0, 1 << 30, 0), Error);
    EXPECT_THROW(pad(image, 1 << 29, 1 << 29, 0, 0), Error);
}

TEST(Process, PadToSquareCentres) {
    const Image wide = make_image(4, 1, 1, 7);
    EXPECT_EQ(pad_to_square(wide, {0}).pixels, (std::vector<uint8_t>{0, 0, 0, 0, 7, 7, 7, 7, 0, 0, 0, 0, 0, 0, 0, 0}));
    const Image tall = make_image(1, 2, 3, 7);
    const Image square = pad_to_square(tall, {1, 2, 3});
    EXPECT_EQ(square.pixels, (std::vector<uint8_t>{7, 7, 7, 1, 2, 3, 7, 7, 7, 1, 2, 3}));
    const Image already = test::noise_image(5, 5, 3, 1);
    EXPECT_EQ(pad_to_square(already, {}).pixels, already.pixels);
}

TEST(Process, MeanColorTruncates) {
    const std::vector<double> clip = {0.48145466, 0.4578275, 0.40821073};
    EXPECT_EQ(mean_color(clip), (Color{122, 116, 104, 0}));
    EXPECT_EQ(mean_color(std::vector<double>{1.0}), (Color{255, 0, 0, 0}));
    EXPECT_THROW(mean_color(std::vector<double>{1.5}), Error);
    EXPECT_THROW(mean_color(std::vector<double>{}), Error);
}

TEST(Process, RefusesWrongStatistics) {
    const Image image = make_image(2, 2, 3);
    NormalizeOptions options;
    options.mean = {0.5, 0.5};
    options.std = {0.5, 0.5, 0.5};
    EXPECT_THROW(rescale_normalize(image, options), Error);
    options.mean = {0.5};
    options.std = {0.5, 0.0, 0.5};
    EXPECT_THROW(rescale_normalize(image, options), Error);
    options.std = {0.5};
    std::vector<float> too_short(11);
    EXPECT_THROW(rescale_normalize(image, options, too_short), Error);
}

TEST(MakeImage, RefusesWrongSizes) {
    EXPECT_THROW(make_image(0, 1, 3), Error);
    EXPECT_THROW(make_image(1, 1, 2), Error);
    EXPECT_THROW(make_image(1 << 20, 1 << 20, 3), Error);
    EXPECT_EQ(make_image(2, 3, 4, 5).pixels, std::vector<uint8_t>(24, 5));
}

}  // namespace
}  // namespace vlm
