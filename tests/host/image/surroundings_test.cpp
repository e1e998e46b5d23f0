/** @file surroundings_test.cpp
 *  Photographs in small: tables and pages under one lamp, and pages without a table.
 */
#include "host/image/surroundings.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace vlm::rows {
namespace {

constexpr int kBlock = 8;

FloatImage brightest(const Image& gray) {
    FloatImage blocks{(gray.width + kBlock - 1) / kBlock, (gray.height + kBlock - 1) / kBlock, {}};
    blocks.pixels.resize(size_t(blocks.width) * size_t(blocks.height), 0.0f);
    for (int y = 0; y < gray.height; ++y) {
        for (int x = 0; x < gray.width; ++x) {
            float& block = blocks.pixels[size_t(y / kBlock) * size_t(blocks.width) + size_t(x / kBlock)];
            block = std::max(block, static_cast<float>(gray.row(y)[x]));
        }
    }
    return blocks;
}

Image whitened(Image gray) {
    const FloatImage blocks = brightest(gray);
    whiten_surroundings(blocks, kBlock, gray);
    return gray;
}

/** A page of 240 with letters of 40 on a table, in light that falls to half from left to right. */
Image photograph(int left, int top, int right, int bottom, int table) {
    Image out = make_image(480, 320, 1);
    for (int y = 0; y < out.height; ++y) {
        for (int x = 0; x < out.width; ++x) {
            const bool page = x >= left && x < right && y >= top && y < bottom;
            const bool letter = page && x % 20 < 6 && y % 30 < 10 && x > left + 40 && y > top + 40;
            const int value = letter ? 40 : page ? 240 : table;
            out.row(y)[x] = static_cast<uint8_t>(value * (960 - x) / 960);
        }
    }
    return out;
}

TEST(WhitenSurroundings, TellsATableInTheLightFromPaperInTheShade) {
    const Image given = photograph(60, 50, 420, 280, 150);  // the table at the left is brighter than paper at the right
    ASSERT_GT(given.row(160)[20], given.row(160)[415]);
    const Image out = whitened(given);
    for (int y = 0; y < out.height; ++y) {
        for (int x = 0; x < out.width; ++x) {
            const bool page = x >= 60 && x < 420 && y >= 50 && y < 280;
            const bool inner = x >= 76 && x < 404 && y >= 66 && y < 264;
            if (page && !inner) continue;  // blocks at the page's edge may go either way
            ASSERT_EQ(out.row(y)[x], page ? given.row(y)[x] : 255) << x << " " << y;
        }
    }
}

TEST(WhitenSurroundings, LeavesAShadowOnAPageThatLiesOnATable) {
    Image given = photograph(60, 50, 420, 280, 60);
    for (int y = 0; y < given.height; ++y)
        for (int x = 300; x < given.width; ++x) given.row(y)[x] = static_cast<uint8_t>(given.row(y)[x] * 0.6);
    ASSERT_LT(given.row(160)[409], 0.4 * 240);
    EXPECT_EQ(whitened(given).row(160)[399], given.row(160)[399]);
    EXPECT_EQ(whitened(given).row(160)[450], 255);
}

TEST(WhitenSurroundings, LeavesPagesThatFillTheirPicture) {
    const Image page = photograph(0, 0, 480, 320, 0);
    EXPECT_EQ(whitened(page).pixels, page.pixels);
    // A letterhead in grey along the top is no table.
    const Image letterhead = photograph(0, 60, 480, 320, 200);
    EXPECT_EQ(whitened(letterhead).pixels, letterhead.pixels);
    const Image dot = make_image(1, 1, 1, 7);
    EXPECT_EQ(whitened(dot).pixels.size(), 1u);
}

TEST(WhitenSurroundings, TakesDarkAreasAtTheEdge) {
    const Image out = whitened(photograph(0, 60, 480, 320, 30));
    EXPECT_EQ(out.row(10)[100], 255);
    EXPECT_EQ(out.row(200)[300], photograph(0, 60, 480, 320, 30).row(200)[300]);
}

}  // namespace
}  // namespace vlm::rows
