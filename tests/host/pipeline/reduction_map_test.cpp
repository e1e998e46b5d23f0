/** @file reduction_map_test.cpp
 *  Pictures of reductions and the measure of print: synthetic layouts whose every pixel is known.
 */
#include "host/pipeline/reduction_map.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/error.hpp"
#include "host/pipeline/component.hpp"
#include "host/pipeline/patches.hpp"

namespace {

using testing::ElementsAre;
using testing::HasSubstr;

vlm_token_block grid(int64_t first, int rows, int columns, std::array<float, 4> region, uint32_t flags = 0) {
    auto block = vlm::abi_struct<vlm_token_block>();
    block.kind = VLM_BLOCK_GRID;
    block.flags = flags;
    block.first = first;
    block.rows = rows;
    block.columns = columns;
    block.tokens = int64_t{rows} * (columns + ((flags & VLM_BLOCK_FLAG_ROW_END) != 0 ? 1 : 0));
    std::copy(region.begin(), region.end(), block.region);
    return block;
}

vlm_token_block latents(int64_t first, int tokens) {
    auto block = vlm::abi_struct<vlm_token_block>();
    block.kind = VLM_BLOCK_LATENT;
    block.first = first;
    block.tokens = tokens;
    block.rows = 1;
    block.columns = tokens;
    return block;
}

vlm::TokenLayout layout(const std::vector<vlm_token_block>& blocks) {
    std::vector<const vlm_token_block*> pointers;
    auto l = vlm::abi_struct<vlm_token_layout>();
    for (const auto& block : blocks) {
        pointers.push_back(&block);
        l.tokens += block.tokens;
    }
    l.block_count = static_cast<uint32_t>(blocks.size());
    l.blocks = pointers.data();
    return {l, "test"};
}

vlm::ReducedImage reduced(vlm::TokenLayout l, std::vector<int32_t> rows) {
    vlm::ReducedImage image;
    image.layout = std::move(l);
    image.row_of_position = std::move(rows);
    return image;
}

std::array<int, 3> pixel(const vlm::Image& image, int x, int y) {
    const uint8_t* p = image.row(y) + 3 * x;
    return {p[0], p[1], p[2]};
}

const std::array<int, 3> kWhite = {255, 255, 255};

TEST(ReductionMap, GroupsShareAColourAndDroppedPatchesAreDark) {
    const vlm::Image page = vlm::make_image(40, 20, 3, 255);
    const auto l = layout({grid(0, 1, 4, {0, 0, 1, 1})});
    const auto picture = vlm::draw_reductions(page, {reduced(l, {0, 1, 0, -1})});
    EXPECT_EQ(pixel(picture, 5, 10), pixel(picture, 25, 10));
    EXPECT_NE(pixel(picture, 5, 10), kWhite);
    EXPECT_EQ(pixel(picture, 15, 10), kWhite) << "a token of one patch is left as it is";
    EXPECT_LT(pixel(picture, 35, 10)[0], 80);
    EXPECT_EQ(pixel(picture, 35, 10)[0], pixel(picture, 35, 10)[2]);
    const auto two = vlm::draw_reductions(page, {reduced(l, {0, 0, 1, 1})});
    EXPECT_NE(pixel(two, 5, 5), pixel(two, 25, 5)) << "two groups, two colours";
}

TEST(ReductionMap, KeepsToThePlaceOnThePage) {
    const vlm::Image page = vlm::make_image(100, 100, 1, 255);
    auto image = reduced(layout({grid(0, 1, 1, {0.5F, 0.5F, 1, 1})}), {-1});
    image.region = {20, 20, 60, 60};
    const auto picture = vlm::draw_reductions(page, {image});
    EXPECT_EQ(pixel(picture, 39, 39), kWhite);
    EXPECT_LT(pixel(picture, 40, 40)[0], 80);
    EXPECT_LT(pixel(picture, 59, 59)[0], 80);
    EXPECT_EQ(pixel(picture, 60, 60), kWhite);
}

TEST(ReductionMap, TilesAreDrawnAndNotTheViewBesideThem) {
    const vlm::Image page = vlm::make_image(20, 20, 3, 255);
    const auto l = layout(
        {grid(0, 1, 1, {0, 0, 1, 1}, VLM_BLOCK_FLAG_GLOBAL), grid(1, 1, 2, {0, 0, 1, 1}, VLM_BLOCK_FLAG_ROW_END)});
    const auto picture = vlm::draw_reductions(page, {reduced(l, {-1, 0, -1, 1})});
    EXPECT_EQ(pixel(picture, 5, 5), kWhite);
    EXPECT_LT(pixel(picture, 15, 5)[0], 80);
}

TEST(ReductionMap, LatentsHaveNoPlace) {
    try {
        vlm::draw_reductions(vlm::make_image(8, 8, 3), {reduced(layout({latents(0, 2)}), {0, 0})});
        FAIL() << "accepted";
    } catch (const vlm::Error& error) {
        EXPECT_THAT(error.what(), HasSubstr("no place on the page"));
    }
}

TEST(ReductionMap, PruningInTheBackboneGoesThroughTheMerges) {
    // Two images of four patches; the first has two tokens after the tower. The second token of the first image and the
    // first of the second are dropped; the sequence is text, image 0, text, image 1.
    const auto l = layout({grid(0, 2, 2, {0, 0, 1, 1})});
    std::vector<vlm::ReducedImage> images = {reduced(l, {0, 1, 1, 0}), reduced(l, {0, 1, 2, 3})};
    images[1].image = 1;
    vlm::ReductionRecord record;
    record.site = VLM_SITE_BACKBONE_LAYER;
    record.sequence = 0;
    record.images = {-1, 0, 0, -1, 1, 1, 1, 1};
    record.groups = {0, 1, -1, 2, -1, 3, 4, 5};
    vlm::add_backbone_reductions(images, {record});
    EXPECT_THAT(images[0].row_of_position, ElementsAre(0, -1, -1, 0));
    EXPECT_THAT(images[1].row_of_position, ElementsAre(-1, 0, 1, 2));
    record.sequence = 1;
    vlm::add_backbone_reductions(images, {record});
    EXPECT_THAT(images[0].row_of_position, ElementsAre(0, -1, -1, 0)) << "another sequence's";
}

TEST(Patches, PrintHasEdgesAndPaperHasNone) {
    vlm::Image page = vlm::make_image(64, 32, 3, 250);
    for (int y = 4; y < 28; ++y)
        for (int x = 4; x < 28; x += 4) std::fill_n(page.row(y) + 3 * x, 6, uint8_t{20});  // strokes two pixels wide
    for (int x = 32; x < 64; ++x)
        for (int y = 0; y < 32; ++y) std::fill_n(page.row(y) + 3 * x, 3, static_cast<uint8_t>(250 - 2 * (x - 32)));
    const auto shares = vlm::edge_shares(page, layout({grid(0, 1, 2, {0, 0, 1, 1}), latents(2, 1)}));
    ASSERT_EQ(shares.size(), 3U);
    EXPECT_GT(shares[0], 0.3F) << "strokes";
    EXPECT_LT(shares[1], 0.05F) << "a shadow that falls softly";
    EXPECT_EQ(shares[2], 0.F) << "no place, no print";
}

TEST(Patches, TinyImagesHaveAPixelForEveryPatch) {
    for (const auto& patch : vlm::patches_of(layout({grid(0, 5, 7, {0, 0, 1, 1})}), 3, 2)) {
        EXPECT_GE(patch.box.right - patch.box.left, 1);
        EXPECT_LE(patch.box.right, 3);
        EXPECT_LE(patch.box.bottom, 2);
    }
}

}  // namespace
