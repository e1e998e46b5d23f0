/** @file rows_test.cpp
 *  Row cutting against tools/train/rows.py on clean pages, and that noise, tables and columns do not upset it.
 */
#include "host/image/rows.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/base/error.hpp"
#include "host/image/decode.hpp"
#include "host/image/resize.hpp"
#include "tests/host/image/image_cases.hpp"

namespace vlm {
namespace {

TEST(Rows, EqualThoseOfThePythonVersion) {
    LevelPage page;
    std::vector<Row> rows;
    size_t next = 0, pages = 0;
    for (const std::string& line : test::read_cases("row_cases.txt")) {
        std::istringstream in(line);
        std::string kind;
        in >> kind;
        if (kind == "page") {
            ASSERT_EQ(next, rows.size());
            std::string name;
            double angle = 0;
            size_t count = 0;
            in >> name >> angle >> count;
            page = level_page(decode_file(std::string(VLM_TEST_DATA) + "/images/" + name));
            rows = segment_rows(page);
            next = 0;
            ++pages;
            EXPECT_NEAR(page.angle, angle, 0.011) << name;
            ASSERT_EQ(rows.size(), count) << name;
            continue;
        }
        PixelBox box;
        int width = 0;
        std::string hash, marked;
        in >> box.left >> box.top >> box.right >> box.bottom >> width >> hash >> marked;
        ASSERT_FALSE(in.fail()) << line;
        const PixelBox& found = rows[next++].box;
        EXPECT_EQ((std::array{found.left, found.top, found.right, found.bottom}),
                  (std::array{box.left, box.top, box.right, box.bottom}))
            << line;
        const Image row = crop_row(page, found);
        EXPECT_EQ(row.width, width);
        EXPECT_EQ(row.height, 32);
        EXPECT_EQ(test::fnv(row.pixels), hash) << line;
        EXPECT_EQ(test::fnv(mark_positions(row).pixels), marked) << line;
    }
    EXPECT_EQ(pages, 3u);
}

/** A white page of the given size. */
Image paper(int width, int height) {
    return make_image(width, height, 1, 245);
}

/** Draws something like a line of text: dark bars of letter size with gaps. */
void write_line(Image& page, int left, int top, int letters, int size = 18) {
    for (int i = 0; i < letters; ++i) {
        if (i % 6 == 5) continue;  // a blank between words
        const int x = left + i * (size * 2 / 3);
        draw_box(page, {x, top + (i % 3 ? size / 4 : 0), x + size / 2, top + size}, {30}, 3);
    }
}

TEST(Rows, BlankPagesHaveNone) {
    EXPECT_TRUE(segment_rows(paper(300, 200)).empty());
    EXPECT_TRUE(segment_rows(paper(1, 1)).empty());
    EXPECT_TRUE(segment_rows(make_image(40, 3, 3, 0)).empty());
}

TEST(Rows, AreFoundInReadingOrder) {
    Image page = paper(500, 400);
    for (int i = 0; i < 6; ++i) write_line(page, 40, 40 + 50 * i, 25);
    const std::vector<Row> rows = segment_rows(page);
    ASSERT_EQ(rows.size(), 6u);
    for (int i = 0; i < 6; ++i) {
        EXPECT_NEAR(rows[size_t(i)].box.top, 40 + 50 * i, 1);
        EXPECT_NEAR(rows[size_t(i)].box.bottom, 58 + 50 * i, 1);
        EXPECT_NEAR(rows[size_t(i)].box.left, 40, 1);
    }
}

TEST(Rows, ColumnsOfUnequalRowsAreCutApart) {
    // Made by hand, because four rows at two heights might as well be four rows that slope.
    LevelPage page;
    page.gray = paper(700, 300);
    for (int i = 0; i < 4; ++i) write_line(page.gray, 30, 30 + 60 * i, 20);
    for (int i = 0; i < 4; ++i) write_line(page.gray, 400, 42 + 60 * i, 20);
    page.ink = page.gray;
    for (uint8_t& pixel : page.ink.pixels) pixel = pixel < 190;
    const std::vector<Row> rows = segment_rows(page);
    EXPECT_EQ(rows.size(), 8u);
    for (const Row& row : rows) EXPECT_LT(row.box.right - row.box.left, 300);
}

TEST(Rows, OfATableKeepTheirCellsTogether) {
    Image page = paper(600, 260);
    for (int i = 0; i <= 5; ++i) blend_box(page, {20, 20 + 40 * i, 580, 22 + 40 * i}, {60}, 1.0f);
    for (const int x : {20, 300, 578}) blend_box(page, {x, 20, x + 2, 222}, {60}, 1.0f);
    for (int i = 0; i < 5; ++i) {
        write_line(page, 40, 31 + 40 * i, 18);
        write_line(page, 330, 31 + 40 * i, 6);
    }
    const std::vector<Row> rows = segment_rows(page);
    ASSERT_EQ(rows.size(), 5u);
    for (const Row& row : rows) {
        EXPECT_LT(row.box.left, 50);
        EXPECT_GT(row.box.right, 330);
    }
}

TEST(Rows, SurviveARedSeal) {
    const Image photo = decode_file(std::string(VLM_TEST_DATA) + "/images/page_seal.jpg");
    const std::vector<Row> rows = segment_rows(photo);
    ASSERT_EQ(rows.size(), 7u);
    for (size_t i = 0; i < 6; ++i) EXPECT_GT(rows[i].box.right - rows[i].box.left, 500) << i;
}

TEST(Rows, SurviveSaltAndPepper) {
    Image page = paper(500, 400);
    for (int i = 0; i < 6; ++i) write_line(page, 40, 40 + 50 * i, 25);
    uint32_t state = 7;
    for (uint8_t& pixel : page.pixels) {
        state = state * 1664525u + 1013904223u;
        if ((state >> 16) % 100 == 0) pixel = state >> 31 ? 40 : 255;
    }
    EXPECT_EQ(segment_rows(page).size(), 6u);
}

TEST(Rows, SurviveADarkTable) {
    Image page = make_image(700, 560, 1, 40);
    blend_box(page, {100, 80, 600, 480}, {245}, 1.0f);
    for (int i = 0; i < 6; ++i) write_line(page, 140, 120 + 50 * i, 25);
    EXPECT_EQ(segment_rows(page).size(), 6u);
}

TEST(Rows, OfALargeScanAreMeasuredOnAReducedPage) {
    Image page = paper(500, 400);
    for (int i = 0; i < 4; ++i) write_line(page, 40, 40 + 80 * i, 20);
    const Image large = resize(page, 3000, 2400);
    const LevelPage level = level_page(large);
    EXPECT_EQ(level.gray.width, 2000);
    const std::vector<Row> rows = segment_rows(level);
    ASSERT_EQ(rows.size(), 4u);
    // Corners are on the page as given, boxes on the level one.
    EXPECT_NEAR(rows[1].corners[0].y, 120 * 6, 12);
    EXPECT_NEAR(rows[1].corners[0].x, 40 * 6, 12);
    EXPECT_NEAR(rows[1].box.top, 120 * 4, 8);
}

TEST(Rows, CornersFollowTheSlope) {
    const Image photo = decode_file(std::string(VLM_TEST_DATA) + "/images/page_list.jpg");
    const LevelPage page = level_page(photo);
    ASSERT_LT(page.angle, -1.0);  // rows rise to the right
    for (const Row& row : segment_rows(page)) {
        const double run = row.corners[1].x - row.corners[0].x;
        const double rise = row.corners[1].y - row.corners[0].y;
        EXPECT_NEAR(std::atan2(rise, run) * 180 / 3.14159265, page.angle, 0.01);
        EXPECT_NEAR(std::hypot(run, rise), row.box.right - row.box.left, 0.1);
    }
}

TEST(CropRow, ShortensBlanksAndKeepsSizes) {
    Image page = paper(900, 100);
    write_line(page, 40, 40, 4);
    write_line(page, 800, 40, 4);
    const LevelPage level = level_page(page);
    const Image row = crop_row(level, {40, 40, 846, 58});
    EXPECT_EQ(row.height, 32);
    EXPECT_EQ(row.width % 16, 0);
    EXPECT_LT(row.width, 400);
    RowOptions options;
    options.row_height = 48;
    options.max_row_width = 64;
    EXPECT_EQ(crop_row(level, {40, 40, 846, 58}, options).width, 64);
    EXPECT_EQ(crop_row(level, {40, 40, 846, 58}, options).height, 48);
    // The smallest box, in a corner, is padded with paper.
    EXPECT_EQ(crop_row(level, {0, 0, 1, 1}).width, 32);
    EXPECT_EQ(crop_row(level, {899, 99, 900, 100}).width, 32);
}

TEST(CropRow, RefusesWrongBoxes) {
    const LevelPage level = level_page(paper(50, 40));
    EXPECT_THROW(crop_row(level, {0, 0, 0, 5}), Error);
    EXPECT_THROW(crop_row(level, {-1, 0, 5, 5}), Error);
    EXPECT_THROW(crop_row(level, {0, 0, 51, 5}), Error);
    EXPECT_THROW(crop_row(LevelPage{}, {0, 0, 1, 1}), Error);
    RowOptions options;
    options.row_height = 0;
    EXPECT_THROW(level_page(paper(50, 40), options), Error);
    EXPECT_THROW(mark_positions(make_image(4, 4, 3)), Error);
}

}  // namespace
}  // namespace vlm
