/** @file forward_test.cpp
 *  Properties of a run that hold for every model: batches, pieces, cuts, merged rows and failures do not change
 * results.
 */
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "checkpoint.hpp"
#include "plugins/decoder/confidence.hpp"

namespace vlm::test {
namespace {

constexpr double kSame = 2e-5;

std::filesystem::path fixture(const std::string& name) {
    return std::filesystem::path(VLM_TEST_DATA) / "decoder" / name;
}

std::vector<int32_t> some_ids(size_t count, uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<int32_t> ids(count);
    for (int32_t& id : ids) id = static_cast<int32_t>(3 + random() % 37);
    return ids;
}

/** An image of `positions` positions on `rows` rows; position p lives on row p % rows. */
TestImage some_image(int64_t positions, int64_t rows, uint32_t seed, int64_t width = 16) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, 0.5f);
    TestImage image;
    image.positions = positions;
    image.rows = rows;
    for (int64_t i = 0; i < rows * width; ++i) image.tokens.push_back(normal(random));
    if (rows != positions) {
        for (int64_t p = 0; p < positions; ++p) image.row_of_position.push_back(static_cast<int32_t>(p % rows));
    }
    return image;
}

/** Text, an image, text, another image, text. */
TestPrompt mixed_prompt(int64_t positions, int64_t rows) {
    TestPrompt prompt;
    prompt.images = {some_image(positions, rows, 1), some_image(6, 6, 2)};
    prompt.segments = {{some_ids(4, 3), -1, 0, 0},
                       {{}, 0, 0, positions},
                       {some_ids(3, 4), -1, 0, 0},
                       {{}, 1, 0, 6},
                       {some_ids(5, 5), -1, 0, 0}};
    return prompt;
}

std::vector<float> last_row(const TestOutput& out, int64_t width) {
    return {out.logits.end() - width, out.logits.end()};
}

class ForwardTest : public testing::TestWithParam<const char*> {};

TEST_P(ForwardTest, BatchGivesWhatEachRequestGivesAlone) {
    Model model(fixture(GetParam()));
    std::vector<TestPrompt> prompts{mixed_prompt(9, 4), TestPrompt::text(some_ids(7, 8)), mixed_prompt(8, 8),
                                    TestPrompt::text(some_ids(1, 9))};
    std::vector<TestRequest> batch;
    std::vector<TestRequest> next;
    std::vector<TestOutput> alone;
    std::vector<TestOutput> alone_next;
    for (size_t i = 0; i < prompts.size(); ++i) {
        auto step = TestPrompt::text({static_cast<int32_t>(5 + i)});
        vlm_backbone_context* single = model.make_context(60);
        alone.push_back(model.run(single, prompts[i], VLM_LOGITS_ALL));
        alone_next.push_back(model.run(single, step));
        model.destroy_context(single);
        batch.push_back({model.make_context(60), prompts[i], VLM_LOGITS_ALL, false});
        next.push_back({batch.back().context, step, VLM_LOGITS_LAST, false});
    }
    auto together = model.run(batch);
    auto together_next = model.run(next);
    for (size_t i = 0; i < prompts.size(); ++i) {
        EXPECT_LE(distance(together[i].logits, alone[i].logits), kSame) << i;
        EXPECT_LE(distance(together_next[i].logits, alone_next[i].logits), kSame) << i;
        model.destroy_context(batch[i].context);
    }
}

TEST_P(ForwardTest, PiecesGiveWhatTheWholeGives) {
    Model model(fixture(GetParam()));
    if (std::string(GetParam()) == "llama_dynamic" || std::string(GetParam()) == "phi3_longrope") {
        GTEST_SKIP() << "positions of this kind depend on the length that was known when a key was made";
    }
    auto ids = some_ids(20, 11);
    vlm_backbone_context* whole = model.make_context(20);
    auto expected = last_row(model.run(whole, TestPrompt::text(ids)), model.description().output_size);
    vlm_backbone_context* pieces = model.make_context(20);
    model.run(pieces, TestPrompt::text({ids.begin(), ids.begin() + 7}), VLM_LOGITS_NONE);
    model.run(pieces, TestPrompt::text({ids.begin() + 7, ids.begin() + 8}), VLM_LOGITS_NONE);
    auto out = model.run(pieces, TestPrompt::text({ids.begin() + 8, ids.end()}));
    EXPECT_LE(distance(out.logits, expected), kSame);
    model.destroy_context(whole);
    model.destroy_context(pieces);
}

TEST_P(ForwardTest, TruncationForgetsExactly) {
    Model model(fixture(GetParam()));
    auto ids = some_ids(15, 12);
    auto tail = some_ids(4, 13);
    vlm_backbone_context* context = model.make_context(30);
    model.run(context, TestPrompt::text({ids.begin(), ids.begin() + 10}), VLM_LOGITS_NONE);
    auto expected = model.run(context, TestPrompt::text(tail)).logits;
    ASSERT_EQ(model.truncate(context, 10), VLM_STATUS_OK);
    EXPECT_EQ(model.state(context).tokens, 10);
    model.run(context, TestPrompt::text({ids.begin() + 10, ids.end()}), VLM_LOGITS_NONE);
    ASSERT_EQ(model.truncate(context, 10), VLM_STATUS_OK);
    EXPECT_LE(distance(model.run(context, TestPrompt::text(tail)).logits, expected), kSame);
    EXPECT_EQ(model.truncate(context, 15), VLM_STATUS_OUT_OF_RANGE);
    model.destroy_context(context);
}

TEST_P(ForwardTest, CompactAndExpandedCachesAgree) {
    Model expand(fixture(GetParam()), {{"unmerge", "expand"}});
    Model compact(fixture(GetParam()), {{"unmerge", "compact"}});
    vlm_backbone_context* a = expand.make_context(60);
    vlm_backbone_context* b = compact.make_context(60);
    // A turn of plain text first: its keys are rotated already when the merged image comes.
    auto first = TestPrompt::text(some_ids(6, 20));
    EXPECT_LE(distance(expand.run(a, first).logits, compact.run(b, first).logits), kSame);
    auto x = expand.run(a, mixed_prompt(12, 5), VLM_LOGITS_ALL);
    auto y = compact.run(b, mixed_prompt(12, 5), VLM_LOGITS_ALL);
    EXPECT_EQ(x.rows, 4 + 5 + 3 + 6 + 5);
    EXPECT_LE(distance(x.logits, y.logits), kSame);
    EXPECT_LT(compact.state(b).kv_bytes, expand.state(a).kv_bytes);
    for (uint32_t step = 0; step < 3; ++step) {
        auto next = TestPrompt::text(some_ids(2, 30 + step));
        EXPECT_LE(distance(expand.run(a, next).logits, compact.run(b, next).logits), kSame) << step;
    }
    // Cutting inside the merged part is refused, behind it allowed.
    EXPECT_EQ(compact.truncate(b, 10), VLM_STATUS_FAILED_PRECONDITION);
    ASSERT_EQ(expand.truncate(a, 37), VLM_STATUS_OK);
    ASSERT_EQ(compact.truncate(b, 37), VLM_STATUS_OK);
    auto again = TestPrompt::text(some_ids(3, 40));
    EXPECT_LE(distance(expand.run(a, again).logits, compact.run(b, again).logits), kSame);
    expand.destroy_context(a);
    compact.destroy_context(b);
}

INSTANTIATE_TEST_SUITE_P(Fixtures, ForwardTest,
                         testing::Values("llama3_biases", "llama_dynamic", "qwen2_window", "phi3_longrope", "gemma2",
                                         "qwen3_yarn", "opt_no_affine", "persimmon_no_qk_norm"),
                         [](const auto& info) { return std::string(info.param); });

TEST(ForwardFailures, AContextThatWouldOverflowLeavesAllContextsAlone) {
    Model model(fixture("llama_linear"));
    vlm_backbone_context* roomy = model.make_context(20);
    vlm_backbone_context* tight = model.make_context(5);
    std::vector<TestRequest> batch{{roomy, TestPrompt::text(some_ids(8, 1)), VLM_LOGITS_LAST, false},
                                   {tight, TestPrompt::text(some_ids(6, 2)), VLM_LOGITS_LAST, false}};
    try {
        model.run(batch);
        FAIL() << "an overflow was accepted";
    } catch (const std::runtime_error& error) {
        EXPECT_NE(std::string(error.what()).find("status 8"), std::string::npos) << error.what();
    }
    EXPECT_EQ(model.state(roomy).tokens, 0);
    EXPECT_EQ(model.state(tight).tokens, 0);
    model.destroy_context(roomy);
    model.destroy_context(tight);
}

TEST(ForwardFailures, ACancelledRunLeavesTheContextAlone) {
    Model model(fixture("llama_linear"));
    vlm_backbone_context* context = model.make_context(30);
    model.run(context, TestPrompt::text(some_ids(5, 1)), VLM_LOGITS_NONE);
    auto bytes = model.state(context).kv_bytes;
    model.cancel = true;
    EXPECT_THROW(model.run(context, TestPrompt::text(some_ids(5, 2))), std::runtime_error);
    model.cancel = false;
    EXPECT_EQ(model.state(context).tokens, 5);
    EXPECT_EQ(model.state(context).kv_bytes, bytes);
    model.destroy_context(context);
}

TEST(ForwardFailures, MalformedRequestsAreRefused) {
    Model model(fixture("llama_linear"));
    vlm_backbone_context* context = model.make_context(30);
    EXPECT_THROW(model.run(context, TestPrompt::text({40})), std::runtime_error) << "an id beyond the vocabulary";
    EXPECT_THROW(model.run(context, TestPrompt::text({-1})), std::runtime_error);
    TestPrompt prompt = mixed_prompt(8, 8);
    prompt.segments[1].count = 9;
    EXPECT_THROW(model.run(context, prompt), std::runtime_error) << "positions beyond the image";
    prompt = mixed_prompt(8, 4);
    prompt.images[0].row_of_position[3] = 4;
    EXPECT_THROW(model.run(context, prompt), std::runtime_error) << "a row beyond the image";
    prompt = mixed_prompt(8, 8);
    prompt.images[0] = some_image(8, 8, 1, 15);
    EXPECT_THROW(model.run(context, prompt), std::runtime_error) << "visual tokens of another width";
    EXPECT_EQ(model.state(context).tokens, 0);
    model.destroy_context(context);
}

TEST(ForwardOutputs, HiddenIsTheMeanOfTheFinalStates) {
    Model model(fixture("llama_linear"));
    vlm_backbone_context* context = model.make_context(30);
    model.listen = true;
    auto out = model.run({{context, TestPrompt::text(some_ids(6, 3)), VLM_LOGITS_NONE, true}})[0];
    EXPECT_EQ(out.rows, 0);
    const Captured& rows = model.taps["llm.final_norm"];
    ASSERT_EQ(rows.shape, (std::vector<int64_t>{6, 16}));
    for (size_t column = 0; column < 16; ++column) {
        float sum = 0.0f;
        for (size_t row = 0; row < 6; ++row) sum += rows.values[row * 16 + column];
        EXPECT_NEAR(out.hidden[column], sum / 6.0f, 1e-5f);
    }
    model.destroy_context(context);
}

using decoder::ConfidenceHead;

TEST(ForwardOutputs, ACheckpointsConfidenceHeadJudgesThePrompt) {
    const std::filesystem::path folder = std::filesystem::path(testing::TempDir()) / "llama_with_confidence";
    std::filesystem::create_directories(folder);
    std::filesystem::copy(fixture("llama_linear"), folder,
                          std::filesystem::copy_options::recursive | std::filesystem::copy_options::overwrite_existing);
    constexpr size_t kHidden = 16, kInner = 4;
    ConfidenceHead head{
        std::vector<float>(kInner * kHidden), {0.1f, -0.2f, 0.3f, 0.0f}, {1.5f, -2.0f, 0.7f, 0.4f}, -0.3f};
    for (size_t i = 0; i < head.inner.size(); ++i) head.inner[i] = 0.05f * static_cast<float>(i % 7) - 0.1f;
    add_tensors(folder / "model.safetensors", {{"confidence_head.0.weight", {{kInner, kHidden}, head.inner}},
                                               {"confidence_head.0.bias", {{kInner}, head.inner_bias}},
                                               {"confidence_head.2.weight", {{1, kInner}, head.outer}},
                                               {"confidence_head.2.bias", {{1}, {head.outer_bias}}}});
    Model model(folder);
    vlm_backbone_context* context = model.make_context(30);
    const auto prompt = model.run({{context, TestPrompt::text(some_ids(6, 3)), VLM_LOGITS_LAST, true}})[0];
    double sum = head.outer_bias;
    for (size_t i = 0; i < kInner; ++i) {
        double inside = head.inner_bias[i];
        for (size_t k = 0; k < kHidden; ++k) inside += double(head.inner[i * kHidden + k]) * double(prompt.hidden[k]);
        sum += double(head.outer[i]) * std::max(inside, 0.0);
    }
    EXPECT_NEAR(prompt.confidence, 1 / (1 + std::exp(-sum)), 1e-6);
    const auto step = model.run({{context, TestPrompt::text({5}), VLM_LOGITS_LAST, false}})[0];
    EXPECT_EQ(step.confidence, -1) << "single tokens are not judged";
    model.destroy_context(context);
}

TEST(ForwardOutputs, AHeadOfItsOwnIsUsedWhateverTheConfigurationSaysOfTies) {
    const auto logits = [](const nlohmann::json& options) {
        Model model(fixture("llama_linear"), options);
        vlm_backbone_context* context = model.make_context(20);
        auto out = model.run(context, TestPrompt::text(some_ids(6, 3)));
        model.destroy_context(context);
        return out.logits;
    };
    EXPECT_EQ(logits({{"tie_word_embeddings", true}}), logits({{"tie_word_embeddings", false}}));
}

TEST(ForwardOutputs, DroppedPositionsAreNeverSeen) {
    // A dropped visual position is absent from the sequence, but the text behind keeps its place.
    Model model(fixture("llama_linear"));
    TestPrompt dropped = mixed_prompt(4, 4);
    dropped.images[0].row_of_position = {0, -1, 1, -1};
    dropped.images[0].rows = 2;
    dropped.images[0].tokens.resize(2 * 16);
    vlm_backbone_context* context = model.make_context(40);
    model.listen = true;
    auto out = model.run(context, dropped, VLM_LOGITS_ALL);
    EXPECT_EQ(out.rows, 4 + 2 + 3 + 6 + 5);
    EXPECT_EQ(model.taps["position_ids"].values[4], 4.0f);
    EXPECT_EQ(model.taps["position_ids"].values[5], 6.0f);
    EXPECT_EQ(model.taps["position_ids"].values[6], 8.0f);
    EXPECT_EQ(model.state(context).tokens, 22);
    model.destroy_context(context);
}

}  // namespace
}  // namespace vlm::test
