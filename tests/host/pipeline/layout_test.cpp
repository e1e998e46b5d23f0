/** @file layout_test.cpp
 *  Layouts that plugins make: copied when they are sound, refused with the plugin's name when they are not.
 */
#include "host/pipeline/layout.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/error.hpp"

namespace {

using testing::HasSubstr;
using vlm::TokenLayout;

vlm_token_block block(uint32_t kind, int64_t first, int64_t tokens, int32_t rows, int32_t columns, uint32_t flags = 0) {
    return {sizeof(vlm_token_block), VLM_ABI_VERSION, kind, flags, first, tokens, rows, columns, 0, 0, {0, 0, 1, 1}};
}

/** A layout with the memory that it points to. */
struct Given {
    std::vector<vlm_token_block> blocks;
    std::vector<const vlm_token_block*> pointers;
    vlm_token_layout layout{};

    Given(int64_t tokens, std::vector<vlm_token_block> list) : blocks(std::move(list)) {
        for (const auto& b : blocks) pointers.push_back(&b);
        layout = {sizeof(layout), VLM_ABI_VERSION, tokens, static_cast<uint32_t>(blocks.size()), 0, pointers.data()};
    }
};

std::string refusal(const vlm_token_layout& layout) {
    try {
        TokenLayout(layout, "com.example.encoder");
    } catch (const vlm::Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INTERNAL);
        EXPECT_THAT(error.what(), HasSubstr("com.example.encoder"));
        return error.what();
    }
    ADD_FAILURE() << "accepted";
    return {};
}

TEST(Layout, IsCopied) {
    TokenLayout copy;
    {
        const Given given(10, {block(VLM_BLOCK_GRID, 0, 6, 2, 3), block(VLM_BLOCK_SPECIAL, 6, 1, 1, 1),
                               block(VLM_BLOCK_GRID, 7, 3, 1, 2, VLM_BLOCK_FLAG_ROW_END)});
        copy = TokenLayout(given.layout, "x");
    }
    EXPECT_EQ(copy.tokens(), 10);
    ASSERT_EQ(copy.blocks().size(), 3u);
    const vlm_token_layout* abi = copy.abi();
    ASSERT_EQ(abi->block_count, 3u);
    EXPECT_EQ(abi->blocks[2]->first, 7);
    EXPECT_EQ(abi->blocks[2]->flags, VLM_BLOCK_FLAG_ROW_END);
    EXPECT_EQ(TokenLayout(*abi, "x").blocks().size(), 3u);
}

TEST(Layout, MayBeEmpty) {
    const Given given(0, {});
    EXPECT_EQ(TokenLayout(given.layout, "x").tokens(), 0);
}

TEST(Layout, BlocksOfAnOlderPluginAreShorter) {
    Given given(4, {block(VLM_BLOCK_LATENT, 0, 4, 1, 4)});
    given.blocks[0].struct_size = offsetof(vlm_token_block, region);
    given.blocks[0].region[2] = 77;  // not ours to read
    EXPECT_EQ(TokenLayout(given.layout, "x").blocks()[0].region[2], 0);
}

TEST(Layout, GapsAndOverlapsAreRefused) {
    EXPECT_THAT(refusal(Given(6, {block(VLM_BLOCK_LATENT, 1, 5, 1, 5)}).layout), HasSubstr("gap"));
    EXPECT_THAT(refusal(Given(6, {block(VLM_BLOCK_LATENT, 0, 3, 1, 3), block(VLM_BLOCK_LATENT, 2, 4, 1, 4)}).layout),
                HasSubstr("block 1"));
    EXPECT_THAT(refusal(Given(6, {block(VLM_BLOCK_LATENT, 0, 5, 1, 5)}).layout), HasSubstr("5 of 6"));
    EXPECT_THAT(refusal(Given(-1, {}).layout), HasSubstr("-1"));
    EXPECT_NE(refusal(Given(-3, {block(VLM_BLOCK_LATENT, 0, -3, 1, -3)}).layout), "");
}

TEST(Layout, GridsMustHaveTheirTokens) {
    EXPECT_THAT(refusal(Given(6, {block(VLM_BLOCK_GRID, 0, 6, 2, 2)}).layout), HasSubstr("2 x 2"));
    EXPECT_THAT(refusal(Given(6, {block(VLM_BLOCK_GRID, 0, 6, 2, 3, VLM_BLOCK_FLAG_ROW_END)}).layout),
                HasSubstr("2 x 3"));
}

TEST(Layout, MissingBlocksAreRefused) {
    Given given(4, {block(VLM_BLOCK_LATENT, 0, 4, 1, 4)});
    given.layout.block_count = 2'000'000;
    EXPECT_NE(refusal(given.layout), "");
    given.layout.block_count = 1;
    given.pointers[0] = nullptr;
    EXPECT_NE(refusal(given.layout), "");
    given.layout.blocks = nullptr;
    EXPECT_NE(refusal(given.layout), "");
    Given zero(4, {block(VLM_BLOCK_LATENT, 0, 4, 1, 4)});
    zero.blocks[0].struct_size = 0;
    EXPECT_NE(refusal(zero.layout), "");
}

}  // namespace
