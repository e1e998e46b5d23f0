/** @file boxes_test.cpp
 *  Answers in, JSON out: pixels, phrases that the prompt holds, grid sizes.
 */
#include "plugins/boxes/boxes.hpp"

#include <gtest/gtest.h>

namespace vlm::boxes {
namespace {

using nlohmann::json;

sdk::ComponentConfig component(const json& options) {
    return {sdk::Config::parse(options.dump(), "config"), sdk::Config(), sdk::Config(), sdk::Host()};
}

json process(const Boxes& post, const std::string& prompt, const std::string& text, float width, float height) {
    auto answer = sdk::make_struct<vlm_answer>();
    answer.text = {text.data(), text.size()};
    answer.region[2] = width;
    answer.region[3] = height;
    const vlm_answer* answers[] = {&answer};
    const vlm_string prompts[] = {{prompt.data(), prompt.size()}};
    auto input = sdk::make_struct<vlm_post_input>();
    input.answer_count = 1;
    input.answers = answers;
    input.prompt_count = 1;
    input.prompts = prompts;
    const auto context = sdk::make_struct<vlm_run_context>();
    return post.process(sdk::Run(&context), input)["grounding"];
}

TEST(Boxes, WritesPixelsWhenTheImageIsKnown) {
    const Boxes post(component({{"cells", 16}}));
    const std::string text = "<phrase>a cat</phrase><object><patch_index_0000><patch_index_0005></object> sleeps";
    const json out = process(post, "Describe:", text, 200, 100);
    EXPECT_EQ(out["text"], "a cat sleeps");
    const json& entity = out["entities"][0];
    EXPECT_EQ(entity["phrase"], "a cat");
    EXPECT_EQ(entity["span"], (json{0, 5}));
    EXPECT_EQ(entity["boxes"][0], (json{0.125, 0.125, 0.375, 0.375}));
    EXPECT_EQ(entity["pixels"][0], (json{25.0, 12.5, 75.0, 37.5}));
    EXPECT_FALSE(process(post, "", text, 0, 0)["entities"][0].contains("pixels"));
}

TEST(Boxes, ContinuesThePhraseOfThePrompt) {
    const Boxes post(component({{"cells", 16}}));
    const json out = process(post, "<grounding><phrase>a dog</phrase>",
                             "<object><patch_index_0001><patch_index_0001></object> there", 0, 0);
    EXPECT_EQ(out["text"], "a dog there");
    EXPECT_EQ(out["entities"][0]["phrase"], "a dog");
    // An answer that begins with words does not.
    EXPECT_EQ(process(post, "<phrase>a dog</phrase>", "nothing", 0, 0)["text"], "nothing");
}

TEST(Boxes, RefusesByName) {
    EXPECT_THROW(Boxes(component({{"cells", 15}})), sdk::Error);
    EXPECT_THROW(Boxes(component({{"cell", 16}})), sdk::Error);
}

}  // namespace
}  // namespace vlm::boxes
