/** @file resize_test.cpp
 *  resize() against Pillow byte for byte, and the AVX2 loops against the plain ones.
 */
#include "host/image/resize.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "host/base/error.hpp"
#include "host/image/resample_kernels.hpp"
#include "tests/host/image/image_cases.hpp"

namespace vlm {
namespace {

struct Case {
    std::string kind;
    int width, height, channels;
    uint32_t seed;
    int filter, out_width, out_height;
    float left, top, right, bottom;
    int pillow;
    std::string hash;
};

std::vector<Case> cases() {
    std::vector<Case> all;
    for (const std::string& line : test::read_cases("resize_cases.txt")) {
        std::istringstream in(line);
        Case c;
        in >> c.kind >> c.width >> c.height >> c.channels >> c.seed >> c.filter >> c.out_width >> c.out_height >>
            c.left >> c.top >> c.right >> c.bottom >> c.pillow >> c.hash;
        EXPECT_FALSE(in.fail()) << line;
        all.push_back(c);
    }
    return all;
}

ResizeOptions options_of(const Case& c) {
    ResizeOptions options;
    options.filter = filter_from_pil(c.filter);
    options.box = ResizeBox{c.left, c.top, c.right, c.bottom};
    options.order = c.pillow == 12 ? PassOrder::kHorizontalFirst : PassOrder::kPillow13;
    return options;
}

std::string text_of(const Case& c) {
    std::ostringstream out;
    out << c.kind << " " << c.width << "x" << c.height << "x" << c.channels << " to " << c.out_width << "x"
        << c.out_height << " filter " << c.filter << " box " << c.left << " " << c.top << " " << c.right << " "
        << c.bottom << " Pillow " << c.pillow;
    return out.str();
}

TEST(Resize, EqualsPillow) {
    size_t old_order = 0;
    for (const Case& c : cases()) {
        if (c.kind != "resize") continue;
        old_order += c.pillow == 12;
        const Image image = test::noise_image(c.width, c.height, c.channels, c.seed);
        const Image out = resize(image, c.out_width, c.out_height, options_of(c));
        ASSERT_EQ(out.width, c.out_width);
        ASSERT_EQ(out.height, c.out_height);
        ASSERT_EQ(out.channels, c.channels);
        EXPECT_EQ(test::fnv(out.pixels), c.hash) << text_of(c);
    }
    EXPECT_GT(old_order, 0u) << "no case covers the order of passes before Pillow 13";
}

TEST(Resize, FloatEqualsPillowModeF) {
    for (const Case& c : cases()) {
        if (c.kind != "float") continue;
        FloatImage image{c.width, c.height, {}};
        for (const uint8_t byte : test::noise(static_cast<size_t>(c.width) * static_cast<size_t>(c.height), c.seed)) {
            image.pixels.push_back(static_cast<float>(byte) / 7.0f - 10.0f);
        }
        const FloatImage out = resize(image, c.out_width, c.out_height, options_of(c));
        EXPECT_EQ(test::fnv(out.pixels), c.hash) << text_of(c);
    }
}

TEST(Resize, BoxDefaultsToTheWholePicture) {
    const Image image = test::noise_image(31, 23, 3, 1);
    ResizeOptions boxed;
    boxed.box = ResizeBox{0, 0, 31, 23};
    EXPECT_EQ(resize(image, 14, 9).pixels, resize(image, 14, 9, boxed).pixels);
}

TEST(Resize, SameSizeIsACopy) {
    const Image image = test::noise_image(13, 7, 4, 2);
    EXPECT_EQ(resize(image, 13, 7).pixels, image.pixels);
}

/** One axis with tables of the given shape and coefficients below 1 / taps, some negative. */
struct RandomAxis {
    std::vector<int> first, count;
    std::vector<int32_t> weights;
    resample::Axis axis;

    RandomAxis(int in, int out, int taps, uint32_t seed) {
        const std::vector<uint8_t> random = test::noise(static_cast<size_t>(out * (taps + 2)), seed);
        size_t at = 0;
        for (int i = 0; i < out; ++i) {
            const int n = std::min(1 + random[at++] % taps, in);
            first.push_back(random[at++] % (in - n + 1));
            count.push_back(n);
            for (int t = 0; t < taps; ++t) {
                const int32_t weight = (random[at++] - 40) * ((1 << resample::kPrecisionBits) / (220 * taps)) + t;
                weights.push_back(t < n ? weight : 0);
            }
        }
        axis = {first.data(), count.data(), weights.data(), taps, out};
    }
};

TEST(ResampleKernels, Avx2EqualsScalar) {
    if (!resample::has_avx2()) GTEST_SKIP() << "this processor has no AVX2";
    uint32_t seed = 0;
    for (const int channels : {1, 3, 4}) {
        for (const int width : {1, 2, 5, 16, 33, 90}) {
            for (const int rows : {1, 3, 4, 9}) {
                for (const int taps : {1, 2, 3, 4, 5, 8, 17, 40}) {
                    const Image image = test::noise_image(width, rows, channels, ++seed);
                    const RandomAxis across(width, 21, taps, seed);
                    const size_t row_bytes = size_t{21} * static_cast<size_t>(channels);
                    std::vector<uint8_t> plain(row_bytes * static_cast<size_t>(rows)), fast(plain.size());
                    resample::horizontal_scalar(image.pixels.data(), image.pixels.size(), image.stride(), rows,
                                                channels, across.axis, plain.data());
                    resample::horizontal_avx2(image.pixels.data(), image.pixels.size(), image.stride(), rows, channels,
                                              across.axis, fast.data());
                    ASSERT_EQ(plain, fast) << channels << " " << width << " " << rows << " " << taps;

                    const RandomAxis down(rows, 6, taps, seed);
                    plain.assign(image.stride() * 6, 0);
                    fast.assign(plain.size(), 1);
                    resample::vertical_scalar(image.pixels.data(), image.stride(), down.axis, plain.data());
                    resample::vertical_avx2(image.pixels.data(), image.stride(), down.axis, fast.data());
                    ASSERT_EQ(plain, fast) << channels << " " << width << " " << rows << " " << taps;
                }
            }
        }
    }
}

TEST(Resize, RefusesWrongArguments) {
    const Image image = test::noise_image(8, 6, 3, 1);
    EXPECT_THROW(resize(image, 0, 5), Error);
    EXPECT_THROW(resize(image, 5, -1), Error);
    EXPECT_THROW(resize(image, 1 << 21, 1), Error);
    EXPECT_THROW(resize(image, 1 << 20, 1 << 20), Error);
    EXPECT_THROW(resize(Image{}, 4, 4), Error);
    EXPECT_THROW(resize(Image{8, 6, 3, std::vector<uint8_t>(5)}, 4, 4), Error);
    EXPECT_THROW(resize(FloatImage{2, 2, {1.0f}}, 4, 4), Error);
    const float nan = std::numeric_limits<float>::quiet_NaN();
    for (const ResizeBox box : {ResizeBox{-1, 0, 8, 6}, ResizeBox{0, 0, 8.5f, 6}, ResizeBox{3, 0, 3, 6},
                                ResizeBox{5, 0, 3, 6}, ResizeBox{nan, 0, 8, 6}, ResizeBox{0, 0, 8, nan}}) {
        ResizeOptions options;
        options.box = box;
        EXPECT_THROW(resize(image, 4, 4, options), Error) << box.left << " " << box.right;
    }
    EXPECT_THROW(filter_from_pil(6), Error);
    EXPECT_THROW(filter_from_pil(-1), Error);
}

}  // namespace
}  // namespace vlm
