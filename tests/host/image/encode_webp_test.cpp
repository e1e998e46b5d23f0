/** @file encode_webp_test.cpp
 *  What was encoded decodes to nearly the same picture.
 */
#include "host/image/encode_webp.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"

namespace vlm {
namespace {

TEST(EncodeWebp, ComesBackNearlyEqual) {
    Image image = make_image(40, 30, 3);
    for (int y = 0; y < 30; ++y)
        for (int x = 0; x < 40; ++x)
            for (int c = 0; c < 3; ++c) image.row(y)[3 * x + c] = static_cast<uint8_t>(4 * x + 2 * y + 10 * c);
    const auto file = encode_webp(image, 95);
    const Image back = decode_memory(file);
    ASSERT_EQ(back.width, 40);
    ASSERT_EQ(back.height, 30);
    double sum = 0;
    for (size_t i = 0; i < image.pixels.size(); ++i) sum += std::abs(double(image.pixels[i]) - double(back.pixels[i]));
    EXPECT_LT(sum / static_cast<double>(image.pixels.size()), 4);
}

TEST(EncodeWebp, RefusesWhatTheFormatCannotHold) {
    EXPECT_THROW(encode_webp(make_image(16384, 1, 3)), Error);
}

}  // namespace
}  // namespace vlm
