/** @file prune_test.cpp
 *  The hook between layers: what reducers see, and that rows which are dropped or merged are gone exactly from there
 * on.
 */
#include <gtest/gtest.h>

#include <random>

#include "checkpoint.hpp"

namespace vlm::test {
namespace {

std::filesystem::path fixture() {
    return std::filesystem::path(VLM_TEST_DATA) / "decoder" / "llama_linear";
}

TestPrompt two_images(bool merged) {
    TestPrompt prompt;
    std::mt19937 random(1);
    std::normal_distribution<float> normal(0.0f, 0.5f);
    for (int image = 0; image < 2; ++image) {
        TestImage out;
        out.positions = 6;
        out.rows = merged ? 3 : 6;
        for (int64_t i = 0; i < out.rows * 16; ++i) out.tokens.push_back(normal(random));
        if (merged) out.row_of_position = {0, 1, 2, 2, 1, 0};
        prompt.images.push_back(out);
    }
    prompt.segments = {
        {{5, 6, 7}, -1, 0, 0}, {{}, 0, 0, 6}, {{8, 9}, -1, 0, 0}, {{}, 1, 0, 6}, {{10, 11, 12}, -1, 0, 0}};
    return prompt;
}

/** Groups that drop the rows of `dropped`. */
std::vector<int32_t> drop(int64_t tokens, const std::vector<int64_t>& dropped) {
    std::vector<int32_t> groups;
    int32_t next = 0;
    for (int64_t i = 0; i < tokens; ++i) {
        bool gone = std::find(dropped.begin(), dropped.end(), i) != dropped.end();
        groups.push_back(gone ? -1 : next++);
    }
    return groups;
}

TEST(PruneTest, ReducersSeeRowsImagesAndScores) {
    for (bool merged : {false, true}) {
        Model model(fixture());
        PruneHook hook;
        hook.layer = 1;
        int calls = 0;
        hook.decide = [&](const vlm_token_view& view) -> std::vector<int32_t> {
            ++calls;
            int64_t tokens = merged ? 14 : 20;
            EXPECT_EQ(view.tokens, tokens);
            EXPECT_EQ(view.layers, 2);
            auto images = static_cast<const int32_t*>(view.images->view.data);
            auto scores = static_cast<const float*>(view.scores->view.data);
            auto sums = static_cast<const float*>(view.score_sums->view.data);
            auto origins = static_cast<const int32_t*>(view.origins->view.data);
            EXPECT_EQ(images[2], -1);
            EXPECT_EQ(images[3], 0);
            EXPECT_EQ(images[merged ? 8 : 11], 1);
            EXPECT_EQ(origins[merged ? 8 : 11], 11);
            double total = 0.0;
            for (int64_t i = 0; i < tokens; ++i) {
                total += sums[i];
                bool visual = images[i] >= 0;
                EXPECT_NEAR(sums[i], scores[i] * (merged && visual ? 2.0f : 1.0f), 1e-6f);
            }
            EXPECT_NEAR(total, 1.0, 1e-5) << "the last row sees everything";
            EXPECT_EQ(view.sizes != nullptr, merged);
            EXPECT_EQ(view.keys->view.shape[1], 4);
            EXPECT_EQ(view.hidden->view.shape[1], 16);
            return {};
        };
        model.hook = &hook;
        vlm_backbone_context* context = model.make_context(40);
        model.run(context, two_images(merged));
        EXPECT_EQ(calls, 1);
        model.run(context, TestPrompt::text({5}));
        EXPECT_EQ(calls, 1) << "decoding must not prune";
        model.destroy_context(context);
    }
}

TEST(PruneTest, PruningBeforeTheFirstLayerEqualsDroppedPositions) {
    Model model(fixture());
    PruneHook hook;
    hook.layer = 0;
    hook.decide = [](const vlm_token_view& view) { return drop(view.tokens, {4, 6, 12}); };
    model.hook = &hook;
    vlm_backbone_context* pruned = model.make_context(40);
    auto a = model.run(pruned, two_images(false), VLM_LOGITS_ALL);
    EXPECT_EQ(model.state(pruned).pruned, 3);
    EXPECT_EQ(a.rows, 17);
    EXPECT_EQ(a.input_rows[4], 5);
    model.hook = nullptr;

    TestPrompt dropped = two_images(false);
    dropped.images[0].row_of_position = {0, -1, 2, -1, 4, 5};
    dropped.images[1].row_of_position = {0, -1, 2, 3, 4, 5};
    vlm_backbone_context* reference = model.make_context(40);
    auto b = model.run(reference, dropped, VLM_LOGITS_ALL);
    EXPECT_LE(distance(a.logits, b.logits), 2e-5);
    auto next = TestPrompt::text({7});
    EXPECT_LE(distance(model.run(pruned, next).logits, model.run(reference, next).logits), 2e-5);
    model.destroy_context(pruned);
    model.destroy_context(reference);
}

TEST(PruneTest, LaterLayersCacheLess) {
    Model model(fixture());
    vlm_backbone_context* whole = model.make_context(40);
    model.run(whole, two_images(false));
    PruneHook hook;
    hook.layer = 1;
    hook.decide = [](const vlm_token_view& view) { return drop(view.tokens, {3, 4, 5, 6, 7}); };
    model.hook = &hook;
    vlm_backbone_context* pruned = model.make_context(40);
    model.run(pruned, two_images(false));
    model.hook = nullptr;
    // Two layers of 20 keys against one of 20 and one of 15.
    EXPECT_EQ(model.state(whole).kv_bytes * 35, model.state(pruned).kv_bytes * 40);
    EXPECT_EQ(model.state(pruned).tokens, 20);
    EXPECT_EQ(model.truncate(pruned, 10), VLM_STATUS_FAILED_PRECONDITION);
    model.run(pruned, TestPrompt::text({5, 6}));
    EXPECT_EQ(model.truncate(pruned, 20), VLM_STATUS_OK);
    EXPECT_EQ(model.state(whole).kv_bytes * 35, model.state(pruned).kv_bytes * 40);
    model.destroy_context(whole);
    model.destroy_context(pruned);
}

TEST(PruneTest, ASecondTurnMayPruneAgainAndInAnotherLayer) {
    Model model(fixture());
    PruneHook hook;
    hook.layer = 1;
    hook.decide = [](const vlm_token_view& view) { return drop(view.tokens, {3, 4}); };
    model.hook = &hook;
    vlm_backbone_context* context = model.make_context(60);
    auto first = model.run(context, two_images(false));
    auto second = model.run(context, two_images(false));
    hook.layer = 0;
    auto third = model.run(context, two_images(true));
    EXPECT_EQ(model.state(context).pruned, 2 + 2 + 4);
    EXPECT_EQ(model.state(context).tokens, 60);
    EXPECT_GT(distance(first.logits, second.logits), 1e-3);
    EXPECT_GT(distance(second.logits, third.logits), 1e-3);
    model.destroy_context(context);
}

TEST(PruneTest, MergingBetweenLayersUnmergesForAttention) {
    // Equal rows: merging them changes nothing, if every position keeps its own rotation and its own weight.
    Model model(fixture());
    TestPrompt prompt = two_images(false);
    std::copy_n(prompt.images[0].tokens.begin(), 16, prompt.images[0].tokens.begin() + 16);
    vlm_backbone_context* plain = model.make_context(40);
    auto expected = model.run(plain, prompt);
    PruneHook hook;
    hook.layer = 0;
    hook.decide = [](const vlm_token_view& view) {
        std::vector<int32_t> groups;
        for (int32_t i = 0; i < static_cast<int32_t>(view.tokens); ++i) groups.push_back(i > 3 ? i - 1 : i);
        return groups;
    };
    model.hook = &hook;
    vlm_backbone_context* merged = model.make_context(40);
    auto out = model.run(merged, prompt, VLM_LOGITS_ALL);
    EXPECT_EQ(out.rows, 19);
    EXPECT_EQ(model.state(merged).pruned, 0);
    // One layer of attention is averaged over the two positions, so the results are close, not equal.
    std::vector<float> last(out.logits.end() - 40, out.logits.end());
    EXPECT_LE(distance(last, expected.logits), 0.5);
    EXPECT_GT(distance(last, expected.logits), 0.0);
    model.destroy_context(plain);
    model.destroy_context(merged);
}

TEST(PruneTest, TextIsNeverPruned) {
    Model model(fixture());
    PruneHook hook;
    hook.layer = 1;
    hook.decide = [](const vlm_token_view& view) { return drop(view.tokens, {1}); };
    model.hook = &hook;
    vlm_backbone_context* context = model.make_context(40);
    EXPECT_THROW(model.run(context, two_images(false)), std::runtime_error);
    EXPECT_EQ(model.state(context).tokens, 0);
    EXPECT_EQ(model.state(context).kv_bytes, 0);
    model.destroy_context(context);
}

TEST(PruneTest, ItemsOfABatchArePrunedIndependently) {
    Model model(fixture());
    PruneHook hook;
    hook.layer = 1;
    hook.decide = [](const vlm_token_view& view) { return keep_best(view, view.sizes != nullptr ? 4 : 7); };
    model.hook = &hook;
    std::vector<TestRequest> batch{{model.make_context(40), two_images(false), VLM_LOGITS_ALL, false},
                                   {model.make_context(40), TestPrompt::text({5, 6, 7}), VLM_LOGITS_ALL, false},
                                   {model.make_context(40), two_images(true), VLM_LOGITS_ALL, false}};
    auto together = model.run(batch);
    for (size_t i = 0; i < batch.size(); ++i) {
        vlm_backbone_context* context = model.make_context(40);
        auto alone = model.run(context, batch[i].prompt, VLM_LOGITS_ALL);
        EXPECT_EQ(alone.input_rows, together[i].input_rows) << i;
        EXPECT_LE(distance(alone.logits, together[i].logits), 2e-5) << i;
        model.destroy_context(context);
        model.destroy_context(batch[i].context);
    }
    EXPECT_EQ(together[0].rows, 8 + 7);
    EXPECT_EQ(together[2].rows, 8 + 4);
}

}  // namespace
}  // namespace vlm::test
