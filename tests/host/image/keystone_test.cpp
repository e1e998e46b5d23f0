/** @file keystone_test.cpp
 *  Pages with lines at known slopes: what is found, and that it is undone.
 */
#include "host/image/keystone.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/image/level_page.hpp"

namespace vlm::rows {
namespace {

constexpr double kDegree = 3.14159265358979323846 / 180.0;

/** Ten rows of bars of letter size, each row at `slope + fan * c`, c being its height at the centre. */
Image rows_of_bars(double slope, double fan) {
    Image ink = make_image(900, 700, 1);
    for (double c = -270; c <= 270; c += 60) {
        for (int x = -400; x < 400; ++x) {
            if ((x + 400) % 16 >= 10) continue;
            for (int thick = 0; thick < 18; ++thick) {
                const auto y = static_cast<int>(std::lround(350 + c + x * (slope + fan * c))) + thick;
                if (y >= 0 && y < ink.height) ink.row(y)[450 + x] = 1;
            }
        }
    }
    return ink;
}

/** Five upright rules, each at `lean + splay * c`. */
Image rules(double lean, double splay) {
    Image ink = make_image(900, 700, 1);
    for (double c = -360; c <= 360; c += 180) {
        for (int y = -300; y < 300; ++y) {
            for (int thick = 0; thick < 2; ++thick) {
                const auto x = static_cast<int>(std::lround(450 + c + y * (lean + splay * c))) + thick;
                if (x >= 0 && x < ink.width) ink.row(350 + y)[x] = 1;
            }
        }
    }
    return ink;
}

Image page_of(const Image& ink) {
    Image gray = ink;
    for (uint8_t& pixel : gray.pixels) pixel = pixel ? 0 : 255;
    return gray;
}

TEST(FindFan, SeesHowRowsFanOut) {
    const Image ink = rows_of_bars(0.02, 6e-5);
    const Slopes found = find_fan(ink, find_angle(ink, 4.0), 4.0);
    EXPECT_NEAR(std::tan(found.angle * kDegree), 0.02, 0.003);
    EXPECT_NEAR(found.keystone.fan, 6e-5, 8e-6);
    EXPECT_EQ(found.keystone.lean, 0.0);
}

TEST(FindFan, LeavesParallelRowsAsTheyAre) {
    for (const double slope : {0.0, 0.03}) {
        const Image ink = rows_of_bars(slope, 0.0);
        const double angle = find_angle(ink, 4.0);
        const Slopes found = find_fan(ink, angle, 4.0);
        EXPECT_EQ(found.angle, angle);
        EXPECT_EQ(found.keystone, Keystone{});
    }
    EXPECT_EQ(find_fan(make_image(30, 30, 1), 1.5, 4.0).angle, 1.5);
}

TEST(FindFan, BoundsTheFanOfAStrip) {
    Image strip = make_image(3000, 24, 1);
    for (int x = 0; x < strip.width; ++x)
        for (int y = (x * 7) % 11; y < strip.height; y += 1 + x % 5) strip.row(y)[x] = 1;
    EXPECT_LT(std::abs(find_fan(strip, 0.0, 30.0).keystone.fan) * 1500, 0.3);
}

TEST(FindSplay, SeesColumnsThatLeanAndSpread) {
    const Keystone found = find_splay(rules(-0.03, 5e-5), 4.0);
    EXPECT_NEAR(found.lean, -0.03, 0.004);
    EXPECT_NEAR(found.splay, 5e-5, 1e-5);
    EXPECT_EQ(find_splay(rules(0.0, 0.0), 4.0), Keystone{});
    EXPECT_EQ(find_splay(make_image(30, 30, 1), 4.0), Keystone{});
}

TEST(Straighten, MakesFannedRowsLevel) {
    const Image ink = rows_of_bars(0.02, 6e-5);
    const Slopes found = find_fan(ink, find_angle(ink, 4.0), 4.0);
    const Image level = ink_of(straighten(page_of(ink), found.angle, found.keystone), 128);
    int blank = 0;  // pixel rows without ink between the first and the last row of text
    for (int y = 80; y < 620; ++y) {
        bool any = false;
        for (int x = 100; x < 800; ++x) any = any || level.row(y)[x];
        blank += !any;
    }
    EXPECT_GT(blank, 250);
    EXPECT_NEAR(find_angle(level, 4.0), 0.0, 0.11);
}

TEST(Straighten, WithoutKeystoneItOnlyTurns) {
    const Image page = page_of(rows_of_bars(0.02, 0.0));
    const Image turned = rotate(page, 1.2), straight = straighten(page, 1.2, {});
    int different = 0;  // the two compute the same points with other roundings
    for (size_t i = 0; i < page.pixels.size(); ++i) different += std::abs(turned.pixels[i] - straight.pixels[i]) > 1;
    EXPECT_EQ(different, 0);
}

}  // namespace
}  // namespace vlm::rows
