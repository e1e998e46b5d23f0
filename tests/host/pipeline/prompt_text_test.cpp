/** @file prompt_text_test.cpp
 *  What a recipe does to the text around images: strips it, sets it off, puts a prefix in front, and what neighbouring
 *  images share.
 */
#include <gtest/gtest.h>

#include "host/pipeline/prompt.hpp"

namespace {

using vlm::PromptRecipe;

/** a = 10, b = 11, a space = 12; <s> = 1, <image> = 2, <f> = 3 are added tokens. Nothing is put in front. */
const vlm::Tokenizer& tokenizer() {
    static const vlm::Tokenizer kTokenizer = vlm::Tokenizer::from_json(R"({
        "added_tokens": [
            {"id": 1, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 2, "content": "<image>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true},
            {"id": 3, "content": "<f>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null, "decoder": null, "post_processor": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "."}, "behavior": "Isolated", "invert": false},
        "model": {"type": "WordLevel", "vocab": {"<unk>": 0, "<s>": 1, "<image>": 2, "<f>": 3, "a": 10, "b": 11, " ": 12}, "unk_token": "<unk>"}})",
                                                                       "tokenizer.json");
    return kTokenizer;
}

/** Ids in order; an image is -1 - its number. */
std::vector<int> ids_of(const std::string& text, size_t images, const PromptRecipe& recipe) {
    const vlm_token_block block{sizeof(block), VLM_ABI_VERSION, VLM_BLOCK_LATENT, 0, 0, 1, 1, 1, 0, 0, {}};
    const vlm_token_block* blocks[] = {&block};
    const vlm_token_layout abi{sizeof(abi), VLM_ABI_VERSION, 1, 1, 0, blocks};
    const std::vector<vlm::TokenLayout> layouts(images, vlm::TokenLayout(abi, "test"));
    std::vector<int> ids;
    for (const auto& segment : vlm::build_prompt(text, layouts, recipe, tokenizer(), true)) {
        ids.insert(ids.end(), segment.ids.begin(), segment.ids.end());
        if (segment.image >= 0) ids.push_back(-1 - segment.image);
    }
    return ids;
}

PromptRecipe recipe() {
    PromptRecipe r;
    r.markers = {"<image>"};
    r.image = {"<f>", "@image", "<f>"};
    return r;
}

TEST(PromptText, IsStrippedAroundImages) {
    PromptRecipe r = recipe();
    EXPECT_EQ(ids_of("a <image> b ", 1, r), (std::vector<int>{10, 12, 3, -1, 3, 12, 11, 12}));
    r.strip_text = " ";
    EXPECT_EQ(ids_of(" a <image> b ", 1, r), (std::vector<int>{10, 3, -1, 3, 11}));
    EXPECT_EQ(ids_of("  ", 0, r), std::vector<int>{});
}

TEST(PromptText, ThePrefixComesOnceAndBehindStripping) {
    PromptRecipe r = recipe();
    r.prefix_text = "<s>";
    r.strip_text = " ";
    EXPECT_EQ(ids_of(" a<image>", 1, r), (std::vector<int>{1, 10, 3, -1, 3}));
    EXPECT_EQ(ids_of("<s>a", 0, r), (std::vector<int>{1, 10}));
    EXPECT_EQ(ids_of("<image>a", 1, r), (std::vector<int>{1, 3, -1, 3, 10}));
}

TEST(PromptText, NeighbouringImagesShareAPiece) {
    PromptRecipe r = recipe();
    EXPECT_EQ(ids_of("<image><image>a", 2, r), (std::vector<int>{3, -1, 3, 3, -2, 3, 10}));
    r.shared_piece = "<f>";
    EXPECT_EQ(ids_of("<image><image>a", 2, r), (std::vector<int>{3, -1, 3, -2, 3, 10}));
    EXPECT_EQ(ids_of("<image>a<image>", 2, r), (std::vector<int>{3, -1, 3, 10, 3, -2, 3}));
    // What the user writes is never taken away.
    EXPECT_EQ(ids_of("<image><f>a", 1, r), (std::vector<int>{3, -1, 3, 3, 10}));
}

TEST(PromptText, WordsBehindImagesAreSetOff) {
    PromptRecipe r = recipe();
    r.space_after_image = true;
    EXPECT_EQ(ids_of("a<image>b", 1, r), (std::vector<int>{10, 3, -1, 3, 12, 11}));
    EXPECT_EQ(ids_of("a<image> b", 1, r), (std::vector<int>{10, 3, -1, 3, 12, 11}));
    EXPECT_EQ(ids_of("a<image><f>", 1, r), (std::vector<int>{10, 3, -1, 3, 3}));
    EXPECT_EQ(ids_of("a<image>", 1, r), (std::vector<int>{10, 3, -1, 3}));
}

TEST(PromptText, WithoutMarkers) {
    PromptRecipe r = recipe();
    r.markers = {"<image>", "<pic>", ""};
    EXPECT_EQ(vlm::without_markers("a<image>b<pic>", r), "ab");
    EXPECT_EQ(vlm::without_markers("<im<pic>age>", r), "<image>");
    EXPECT_EQ(vlm::count_markers("a<image>b<pic>", r), 2u);
}

}  // namespace
