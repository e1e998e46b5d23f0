/** @file layout_test.cpp
 *  Blocks are counted along, and layouts with gaps are refused.
 */
#include "vlm/sdk/layout.hpp"

#include <gtest/gtest.h>

namespace {

using namespace vlm::sdk;

TEST(Layout, CountsPositionsAlong) {
    Layout layout;
    layout.special().grid(2, 3).grid(2, 3, VLM_BLOCK_FLAG_ROW_END, {0, 0, 0.5F, 1}, 0, 1).latent(4);
    const vlm_token_layout* abi = layout.get();
    ASSERT_EQ(abi->block_count, 4u);
    EXPECT_EQ(abi->tokens, 1 + 6 + 8 + 4);
    EXPECT_EQ(abi->blocks[2]->first, 7);
    EXPECT_EQ(abi->blocks[2]->tokens, 8);
    EXPECT_EQ(abi->blocks[2]->tile_column, 1);
    EXPECT_EQ(abi->blocks[3]->columns, 4);
    Layout copy(abi);
    EXPECT_EQ(copy.tokens(), layout.tokens());
    EXPECT_EQ(copy.get()->blocks[1]->region[2], 1.F);
}

TEST(Layout, RefusesGaps) {
    Layout layout;
    layout.grid(2, 2).special();
    auto broken = *layout.get()->blocks[1];
    broken.first = 5;
    const vlm_token_block* blocks[] = {layout.get()->blocks[0], &broken};
    auto abi = *layout.get();
    abi.blocks = blocks;
    EXPECT_THROW(Layout{&abi}, Error);
    abi = *layout.get();
    abi.tokens = 6;
    EXPECT_THROW(Layout{&abi}, Error);
    abi.blocks = nullptr;
    EXPECT_THROW(Layout{&abi}, Error);
}

}  // namespace
