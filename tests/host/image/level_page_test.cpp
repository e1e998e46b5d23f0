/** @file level_page_test.cpp
 *  The steps of level_page() one by one, on pictures small enough to see what should happen.
 */
#include "host/image/level_page.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "host/image/page_noise.hpp"
#include "tests/host/image/image_cases.hpp"

namespace vlm::rows {
namespace {

/** A picture of rows of characters: '#' is `dark`, anything else `light`. */
Image picture(const std::vector<std::string>& rows, uint8_t dark, uint8_t light) {
    Image image = make_image(static_cast<int>(rows[0].size()), static_cast<int>(rows.size()), 1, light);
    for (size_t y = 0; y < rows.size(); ++y) {
        for (size_t x = 0; x < rows[y].size(); ++x) {
            if (rows[y][x] == '#') image.row(static_cast<int>(y))[x] = dark;
        }
    }
    return image;
}

TEST(GrayWithoutRed, TakesSealsForPaper) {
    Image page = make_image(3, 1, 3);
    page.pixels = {230, 60, 70, 60, 60, 200, 20, 20, 20};
    EXPECT_EQ(gray_without_red(page).pixels, (std::vector<uint8_t>{255, 76, 20}));
    const Image gray = test::noise_image(5, 4, 1, 1);
    EXPECT_EQ(gray_without_red(gray).pixels, gray.pixels);
}

TEST(FlattenLight, DividesASlopeOfLightOut) {
    Image page = make_image(400, 120, 1);
    for (int y = 0; y < page.height; ++y) {
        for (int x = 0; x < page.width; ++x) page.row(y)[x] = static_cast<uint8_t>(240 - x / 4);
    }
    for (int x = 20; x < 380; x += 10) page.row(60)[x] = static_cast<uint8_t>(page.row(60)[x] / 2);
    const Image flat = flatten_light(page);
    for (int x = 30; x < 370; x += 10) {
        EXPECT_GE(flat.row(30)[x], 240) << x;
        EXPECT_NEAR(flat.row(60)[x], 127, 10) << x;
    }
}

TEST(FindAngle, SeesTheSlope) {
    for (const double angle : {-3.0, -1.25, 0.0, 0.6, 2.5}) {
        Image ink = make_image(600, 400, 1);
        for (int line = 60; line < 360; line += 40) {
            for (int x = 40; x < 560; ++x) {
                const int y = line + static_cast<int>(std::lround((x - 300) * std::tan(angle * 3.14159265 / 180)));
                for (int t = 0; t < 6; ++t) ink.row(y + t)[x] = 1;
            }
        }
        EXPECT_NEAR(find_angle(ink, 4.0), angle, 0.11);
    }
    EXPECT_EQ(find_angle(make_image(50, 50, 1), 4.0), 0.0);
}

TEST(Rotate, TurnsAboutTheCentre) {
    Image image = make_image(5, 5, 1, 255);
    image.row(0)[2] = 0;  // above the centre
    const Image quarter = rotate(image, 90);
    EXPECT_EQ(quarter.row(2)[0], 0);  // counter-clockwise: left of it
    EXPECT_EQ(rotate(image, 360).pixels, image.pixels);
    const Image small = rotate(make_image(40, 40, 1, 10), 5);
    EXPECT_EQ(small.row(20)[20], 10);
    EXPECT_EQ(small.row(0)[0], 255);  // came from outside
}

TEST(WipeRules, TakesLongRunsOnly) {
    Image page = make_image(60, 30, 1, 255);
    for (int x = 5; x < 55; ++x) page.row(10)[x] = 20;  // a rule
    for (int y = 2; y < 28; ++y) page.row(y)[30] = 20;  // another, across
    for (int x = 8; x < 20; ++x) page.row(20)[x] = 20;  // a dash
    const Image out = wipe_rules(page, find_rules(ink_of(page, 190), 25));
    EXPECT_EQ(std::count(out.row(10), out.row(10) + 60, 255), 60);
    EXPECT_EQ(out.row(25)[30], 255);
    EXPECT_EQ(std::count(out.row(20), out.row(20) + 60, 20), 12);
}

TEST(WithoutRuleEnds, TakesPartsInLineWithARuleAndLeavesLetters) {
    Image page = make_image(120, 200, 1, 255);
    for (int y = 5; y < 95; ++y) page.row(y)[30] = 20;     // a rule
    for (int y = 130; y < 150; ++y) page.row(y)[31] = 20;  // its faint end, one pixel aside
    for (int y = 130; y < 150; ++y) page.row(y)[60] = 20;  // a letter somewhere else
    for (int y = 100; y < 104; ++y)                        // a decimal point under the rule
        for (int x = 29; x < 33; ++x) page.row(y)[x] = 20;
    const Rules rules = find_rules(ink_of(page, 190), 80);
    Image gray = wipe_rules(page, rules);
    const Image ink = without_rule_ends(ink_of(gray, 190), rules, gray);
    EXPECT_EQ(ink.row(140)[31], 0);
    EXPECT_EQ(gray.row(140)[31], 255);
    EXPECT_EQ(ink.row(140)[60], 1);
    EXPECT_EQ(ink.row(102)[30], 1);
}

TEST(WithoutSpecks, KeepsStrokes) {
    const Image ink = picture({"#....", "...#.", "..##.", "...##"}, 1, 0);
    const Image out = without_specks(ink);
    EXPECT_EQ(out.row(0)[0], 0);
    EXPECT_EQ(out.row(1)[3], 1);
    EXPECT_EQ(out.row(3)[4], 1);
}

TEST(Median, RemovesSinglePixelsAndKeepsStrokes) {
    Image image = picture({".......", ".#.....", "....##.", "....##.", "....##.", "......."}, 0, 200);
    const Image out = median_3x3(image);
    EXPECT_EQ(out.row(1)[1], 200);
    EXPECT_EQ(out.row(3)[4], 0);
    EXPECT_EQ(out.row(3)[5], 0);
    // Against sorting, on noise.
    image = test::noise_image(31, 17, 1, 3);
    const Image fast = median_3x3(image);
    for (int y = 1; y < 16; ++y) {
        for (int x = 1; x < 30; ++x) {
            std::vector<uint8_t> window;
            for (int dy = -1; dy <= 1; ++dy)
                window.insert(window.end(), image.row(y + dy) + x - 1, image.row(y + dy) + x + 2);
            std::sort(window.begin(), window.end());
            ASSERT_EQ(fast.row(y)[x], window[4]);
        }
    }
}

TEST(IsNoisy, TellsGrainFromPrint) {
    Image ink = make_image(200, 200, 1);
    for (int i = 0; i < 10; ++i) ink.row(10 + 15 * i)[20 + 10 * i] = 1;
    EXPECT_FALSE(is_noisy(ink));
    for (int i = 0; i < 40; ++i) ink.row(5 + (37 * i) % 190)[(53 * i) % 200] = 1;
    EXPECT_TRUE(is_noisy(ink));
}

TEST(WithoutSmallParts, JudgesConnectedParts) {
    const Image ink = picture({"##...", "..#..", "....#", "...#."}, 1, 0);
    EXPECT_EQ(without_small_parts(ink, 4).pixels, picture({".....", ".....", ".....", "....."}, 1, 0).pixels);
    const Image two = picture({"##...", ".....", "....#", "...##"}, 1, 0);
    EXPECT_EQ(without_small_parts(two, 2).pixels, picture({".....", ".....", "....#", "...##"}, 1, 0).pixels);
}

TEST(WithoutBlots, TakesOnlyLoneSmallOnes) {
    Image ink = make_image(300, 100, 1);
    for (int i = 0; i < 5; ++i) draw_box(ink, {20 + 15 * i, 20, 30 + 15 * i, 40}, {1}, 2);
    draw_box(ink, {100, 36, 104, 40}, {1}, 2);  // a full stop beside the last letter
    Image blotted = ink;
    draw_box(blotted, {220, 60, 226, 66}, {1}, 3);
    EXPECT_EQ(without_blots(blotted).pixels, ink.pixels);
    EXPECT_EQ(without_blots(ink).pixels, ink.pixels);
    const Image none = make_image(20, 20, 1);
    EXPECT_EQ(without_blots(none).pixels, none.pixels);
}

}  // namespace
}  // namespace vlm::rows
