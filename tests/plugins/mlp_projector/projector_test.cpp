/** @file projector_test.cpp
 *  How many tokens tiles give, against `LlavaNextProcessor` of transformers 5.23 with tiles of 32 pixels in 4 x 4
 * patches and image_grid_pinpoints [[32, 64], [64, 32], [64, 64], [96, 32], [32, 96]].
 */
#include "plugins/mlp_projector/projector.hpp"

#include <gtest/gtest.h>

namespace vlm::projector {
namespace {

int64_t tokens(int32_t tile_rows, int32_t tile_columns, int32_t width, int32_t height) {
    sdk::ComponentConfig c;
    c.config = sdk::Config::parse(R"({"layers": ["linear_1"], "anyres": true, "row_end": "image_newline",
                                      "input_size": 8, "output_size": 8})",
                                  "config");
    sdk::Layout layout;
    layout.grid(4, 4);
    for (int32_t row = 0; row < tile_rows; ++row)
        for (int32_t column = 0; column < tile_columns; ++column) layout.grid(4, 4, 0, sdk::kWholeImage, row, column);
    return Projector(c).plan(layout, width, height).rows;
}

TEST(Projector, JoinsTilesWithoutTheirPadding) {
    EXPECT_EQ(tokens(2, 2, 97, 61), 16 + 6 * (8 + 1));  // a row of padding is cut off above and below
    EXPECT_EQ(tokens(0, 0, 97, 61), 16 + 1);            // a base view alone
}

TEST(Projector, OfAThinPictureTheEndsOfRowsAreLeftAtMost) {
    EXPECT_EQ(tokens(1, 3, 903, 17), 16);
    EXPECT_EQ(tokens(3, 1, 17, 903), 16 + 12);
    EXPECT_EQ(tokens(2, 1, 1, 40), 16 + 8);
    EXPECT_EQ(tokens(1, 2, 40, 1), 16);
}

}  // namespace
}  // namespace vlm::projector
