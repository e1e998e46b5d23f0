/** @file prompt_test.cpp
 *  Prompts with images to segments, with a small tokenizer whose words are single letters.
 */
#include "host/pipeline/prompt.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "host/base/error.hpp"

namespace {

using testing::AllOf;
using testing::HasSubstr;
using vlm::PromptRecipe;

/** a = 10, b = 11, …; <s> = 1 is put in front; <image> = 2, <row> = 3, <t1,2> = 4, <g> = 5. */
const vlm::Tokenizer& tokenizer() {
    static const vlm::Tokenizer kTokenizer = vlm::Tokenizer::from_json(R"({
        "added_tokens": [
            {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 2, "content": "<image>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 3, "content": "<row>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 4, "content": "<t1,2>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 5, "content": "<g>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null, "pre_tokenizer": {"type": "Whitespace"}, "decoder": null,
        "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}},
                           {"Sequence": {"id": "A", "type_id": 0}}], "pair": [{"Sequence": {"id": "A", "type_id": 0}},
                           {"Sequence": {"id": "B", "type_id": 0}}],
                           "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}}},
        "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "<s>": 1, "<image>": 2, "<row>": 3, "<t1,2>": 4, "<g>": 5, "a": 10, "b": 11, "c": 12, "x": 13}, "unk_token": "<unk>"}})",
                                                                       "tokenizer.json");
    return kTokenizer;
}

vlm::TokenLayout layout(const std::vector<vlm_token_block>& blocks) {
    int64_t tokens = 0;
    std::vector<const vlm_token_block*> pointers;
    for (const auto& block : blocks) {
        tokens += block.tokens;
        pointers.push_back(&block);
    }
    const vlm_token_layout abi{sizeof(abi), VLM_ABI_VERSION, tokens, static_cast<uint32_t>(blocks.size()),
                               0,           pointers.data()};
    return {abi, "test"};
}
vlm_token_block grid(int64_t first, int32_t rows, int32_t columns, int32_t tile_row = 0, int32_t tile_column = 0,
                     uint32_t flags = 0) {
    return {sizeof(vlm_token_block),
            VLM_ABI_VERSION,
            VLM_BLOCK_GRID,
            flags,
            first,
            int64_t{rows} * columns,
            rows,
            columns,
            tile_row,
            tile_column,
            {0, 0, 1, 1}};
}

/** "1 10 [0:0+4] 11": ids, and [image:first+count]. */
std::string text_of(const std::vector<vlm::Segment>& segments) {
    std::string text;
    for (const auto& s : segments) {
        for (const int32_t id : s.ids) text.append(" ").append(std::to_string(id));
        if (s.image >= 0)
            text.append(" [")
                .append(std::to_string(s.image))
                .append(":")
                .append(std::to_string(s.first))
                .append("+")
                .append(std::to_string(s.count))
                .append("]");
        EXPECT_TRUE(s.image >= 0 || s.count == static_cast<int64_t>(s.ids.size()));
    }
    text.erase(0, 1);
    return text;
}

PromptRecipe with_marker() {
    PromptRecipe recipe;
    recipe.markers = {"<image>"};
    return recipe;
}

std::string build(const std::string& text, const PromptRecipe& recipe, const std::vector<vlm::TokenLayout>& layouts,
                  bool in_sequence = true) {
    return text_of(vlm::build_prompt(text, layouts, recipe, tokenizer(), in_sequence));
}

const std::vector<vlm::TokenLayout>& one() {
    static const std::vector<vlm::TokenLayout> kOne = {layout({grid(0, 2, 2)})};
    return kOne;
}

TEST(Prompt, ImagesStandAtTheirMarkers) {
    EXPECT_EQ(build("a <image> b", with_marker(), one()), "1 10 [0:0+4] 11");
    EXPECT_EQ(build("<image>", with_marker(), one()), "1 [0:0+4]");
    EXPECT_EQ(build("a<image>b<image>", with_marker(), {layout({grid(0, 1, 3)}), layout({grid(0, 1, 2)})}),
              "1 10 [0:0+3] 11 [1:0+2]");
    EXPECT_EQ(build("a b", with_marker(), {}), "1 10 11");
}

TEST(Prompt, WithoutAMarkerThePlaceDecides) {
    auto recipe = with_marker();
    EXPECT_EQ(build("a", recipe, one()), "[0:0+4] 1 10");
    recipe.place = PromptRecipe::Place::after_bos;
    EXPECT_EQ(build("a", recipe, one()), "1 [0:0+4] 10");
    recipe.add_special_tokens = false;
    EXPECT_EQ(build("a", recipe, one()), "[0:0+4] 10");
}

TEST(Prompt, SaysHowManyMarkersAndImagesThereAre) {
    const auto refusal = [](const std::string& text, const PromptRecipe& recipe, size_t images) -> std::string {
        try {
            build(text, recipe, std::vector<vlm::TokenLayout>(images, one()[0]));
        } catch (const vlm::Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
            return error.what();
        }
        return "accepted";
    };
    EXPECT_THAT(refusal("<image> <image>", with_marker(), 1),
                AllOf(HasSubstr("2 image markers"), HasSubstr("1 image was")));
    EXPECT_THAT(refusal("<image>", with_marker(), 3), AllOf(HasSubstr("1 image marker "), HasSubstr("3 images")));
    EXPECT_THAT(refusal("<image>", with_marker(), 0), HasSubstr("0 images"));
    auto strict = with_marker();
    strict.place = PromptRecipe::Place::marker_required;
    EXPECT_THAT(refusal("a", strict, 1), HasSubstr("0 image markers"));
    EXPECT_EQ(build("a", strict, {}), "1 10");
}

TEST(Prompt, AnImageExpandsAsTheRecipeSays) {
    auto recipe = with_marker();
    recipe.image = {"a", "@image", "<row>"};
    EXPECT_EQ(build("<image> b", recipe, one()), "1 10 [0:0+4] 3 11");
    recipe = with_marker();
    recipe.grid_row = {"@row", "<row>"};
    recipe.after = {"x"};
    EXPECT_EQ(build("<image>", recipe, {layout({grid(0, 3, 2)})}), "1 [0:0+2] 3 [0:2+2] 3 [0:4+2] 3 13");
}

TEST(Prompt, TilesAreMarkedByRowAndColumn) {
    auto recipe = with_marker();
    recipe.tile = {"<t{row},{column}>", "@tile"};
    recipe.row_end = {"<row>"};
    recipe.global = {"<g>", "@tile"};
    const std::vector<vlm::TokenLayout> tiled = {
        layout({grid(0, 1, 2, 0, 1), grid(2, 1, 2, 1, 1), grid(4, 1, 2, 0, 0, VLM_BLOCK_FLAG_GLOBAL)})};
    const std::string expanded = build("<image>", recipe, tiled);
    EXPECT_THAT(expanded, testing::StartsWith("1 4 [0:0+2] 3 "));
    EXPECT_THAT(expanded, testing::EndsWith("[0:2+2] 3 5 [0:4+2]"));
    // One block is no image in tiles.
    EXPECT_EQ(build("<image>", recipe, one()), "1 [0:0+4]");
}

TEST(Prompt, CrossAttentionMarksThePlaceOnly) {
    EXPECT_EQ(build("a <image> b", with_marker(), one(), false), "1 10 [0:0+0] 11");
}

TEST(Prompt, SuffixPieceIsAddedOnce) {
    auto recipe = with_marker();
    recipe.suffix_piece = "b";
    EXPECT_EQ(build("a <image>", recipe, one()), "1 10 [0:0+4] 11");
    EXPECT_EQ(build("<image> b", recipe, one()), "1 [0:0+4] 11");
}

TEST(Prompt, CountsMarkersOfAllSpellings) {
    PromptRecipe recipe;
    recipe.markers = {"<image>", "[IMG]"};
    EXPECT_EQ(vlm::count_markers("<image>[IMG] a [IMG", recipe), 2u);
    EXPECT_EQ(vlm::count_markers("", recipe), 0u);
    EXPECT_EQ(vlm::count_markers("<image>", PromptRecipe{}), 0u);
    EXPECT_EQ(build("a [IMG] b", recipe, one()), "1 10 [0:0+4] 11");
    EXPECT_EQ(vlm::segment_tokens(vlm::build_prompt("a [IMG] b", one(), recipe, tokenizer(), true)), 7);
}

}  // namespace
