/** @file parity_shown_test.cpp
 *  What parity works out of a sequence: places, and maps of merged and pruned rows.
 */
#include "host/cli/parity_shown.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/cli/parity_padding.hpp"

namespace {

using testing::ElementsAre;
using vlm::Segment;
using vlm::VisualTokens;
using vlm::cli::Found;

/** Four positions, of which 1 and 2 share a row. */
VisualTokens merged_image() {
    VisualTokens tokens;
    vlm_token_block block{};
    block.struct_size = sizeof(block);
    block.abi_version = VLM_ABI_VERSION;
    block.kind = VLM_BLOCK_GRID;
    block.tokens = 4;
    block.rows = block.columns = 2;
    const vlm_token_block* blocks[] = {&block};
    tokens.layout = vlm::TokenLayout({sizeof(vlm_token_layout), VLM_ABI_VERSION, 4, 1, 0, blocks}, "test");
    tokens.rows = vlm::Tensor(VLM_DTYPE_F32, {3, 2});
    tokens.map.row_of_position = vlm::Tensor(VLM_DTYPE_I32, {4});
    const auto rows = tokens.map.row_of_position.span<int32_t>();
    rows[0] = 0;
    rows[1] = rows[2] = 2;
    rows[3] = 1;
    return tokens;
}

const std::vector<Segment> kSegments = {{{7}, -1, 0, 1}, {{}, 0, 0, 4}, {{8, 9}, -1, 0, 2}};

TEST(ParityShown, PlacesSayWhatStandsWhere) {
    Found found;
    const auto image = merged_image();
    vlm::cli::show_places(kSegments, {&image.layout, 1}, found);
    EXPECT_THAT(found["sequence_ids"].values, ElementsAre(7, -1, -1, -1, -1, 8, 9));
    EXPECT_THAT(found["modality_ids"].values, ElementsAre(1, 0, 0, 0, 0, 1, 1));
    EXPECT_THAT(found["mm_token_type_ids"].values, ElementsAre(0, 1, 1, 1, 1, 0, 0));
    EXPECT_THAT(found["image_grid_hw"].values, ElementsAre(2, 2));
}

TEST(ParityShown, PlaceholdersAreTakenOverOnlyWhereTheReferenceHasThem) {
    Found with, without;
    vlm::cli::show_ids(kSegments, {{7, 5, 5, 5, 5, 8, 9}, true}, with);
    EXPECT_THAT(with["input_ids"].values, ElementsAre(7, 5, 5, 5, 5, 8, 9));
    vlm::cli::show_ids(kSegments, {{7, 8, 1}, true}, without);
    EXPECT_THAT(without["input_ids"].values, ElementsAre(7, 8, 9));
}

TEST(ParityShown, MapsFollowMergedAndPrunedRows) {
    Found found;
    const auto image = merged_image();
    const VisualTokens* images[] = {&image};
    found["llm.row_of_logits"].values = {0, 1, 3, 4, 5};  // row 2, which is position 4, was pruned
    found["hook.scores"].values = {.1, .2, .3, .4, .5, .6};
    const auto device = vlm::open_device("cpu", {"f32", "f32", 1});
    const vlm::Listeners quiet;
    vlm::Run run(device->compute(), &quiet);
    vlm::cli::show_maps(run, kSegments, images, found);
    EXPECT_THAT(found["llm.mapping"].values, ElementsAre(0, 1, 3, 3, 2, 4, 5));
    EXPECT_THAT(found["llm.final_positions"].values, ElementsAre(0, 1, 2, 3, 5, 6));
    EXPECT_THAT(found["fastv_kept_rows"].values, ElementsAre(1, 3));
    EXPECT_THAT(found["fastv_kept_visual"].values, ElementsAre(0, 2));
    EXPECT_THAT(found["fastv_scores"].values, ElementsAre(.2, .3, .4));
}

TEST(ParityShown, PaddingOfTextsIsLeftOut) {
    const std::vector<double> mask = {1, 0, 1};
    EXPECT_THAT(vlm::cli::without_rows({1, 2, 3, 4, 5, 6}, mask), ElementsAre(1, 2, 5, 6));
    EXPECT_THAT(vlm::cli::without_rows({1, 2}, mask), ElementsAre(1, 2));
}

}  // namespace
