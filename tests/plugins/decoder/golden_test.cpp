/** @file golden_test.cpp
 *  Every golden checkpoint whose language model is a decoder: embeddings, layers, logits and greedy ids against the
 * reference.
 */
#include <gtest/gtest.h>

#include <fstream>

#include "checkpoint.hpp"

namespace vlm::test {
namespace {

constexpr double kTolerance = 2e-4;

class GoldenTest : public testing::TestWithParam<const char*> {
  protected:
    void SetUp() override {
        folder_ = golden_folder() / GetParam();
        if (golden_folder().empty() || !std::filesystem::exists(folder_)) {
            GTEST_SKIP() << "no golden checkpoint " << GetParam() << " at " << VLM_GOLDEN_DIR;
        }
    }
    /** Runs every case of `folder_`. */
    void check_all_cases();
    /** Compares a tap with the expected tensor of the same name, when there is one. */
    static void expect_tap(const Model& model, const Golden& golden, const std::string& prefix,
                           const std::string& name) {
        if (!golden.has(prefix + name)) return;
        ASSERT_TRUE(model.taps.contains(name)) << name;
        EXPECT_LE(distance(model.taps.at(name).values, golden.floats(prefix + name)), kTolerance) << prefix << name;
    }
    std::filesystem::path folder_;
};

void GoldenTest::check_all_cases() {
    Golden golden(folder_);
    Model model(folder_);
    ASSERT_GT(golden.cases(), 0);
    for (int number = 0; number < golden.cases(); ++number) {
        std::string prefix = "case" + std::to_string(number) + ".";
        vlm_backbone_context* context = model.make_context(512);
        model.listen = true;
        model.taps.clear();
        TestOutput out = model.run(context, golden.prompt(number), VLM_LOGITS_ALL);
        model.listen = false;
        for (const char* name :
             {"llm.inputs_embeds", "llm.layer0", "llm.layer1", "llm.layer2", "llm.cross0", "llm.final_norm"}) {
            expect_tap(model, golden, prefix, name);
        }
        if (golden.has(prefix + "position_ids")) {
            auto places = golden.integers(prefix + "position_ids");
            EXPECT_EQ(model.taps["position_ids"].values, std::vector<float>(places.begin(), places.end())) << prefix;
        }
        EXPECT_LE(distance(out.logits, golden.floats(prefix + "logits")), kTolerance) << prefix << "logits";
        auto ids = golden.integers(prefix + "generated_ids");
        EXPECT_EQ(model.greedy(context, out.logits, ids.size()), ids) << prefix;
        model.destroy_context(context);
    }
}

TEST_P(GoldenTest, MatchesReference) {
    check_all_cases();
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, GoldenTest,
                         testing::Values("llava", "llava_mistral", "llava_qwen2", "llava_next", "qwen2_vl",
                                         "qwen2_5_vl", "internvl", "idefics2", "idefics3", "instructblip", "openvla",
                                         "dymu", "blip2", "paligemma", "fuyu", "kosmos2", "idefics", "early_fusion",
                                         "early_fusion_interleaved", "hybrid_early_fusion"),
                         [](const auto& info) { return std::string(info.param); });

/** Language models alone, with what no golden checkpoint has: tests/data/decoder/make_fixtures.py. */
class FixtureTest : public GoldenTest {
  protected:
    void SetUp() override { folder_ = std::filesystem::path(VLM_TEST_DATA) / "decoder" / GetParam(); }
};

TEST_P(FixtureTest, MatchesReference) {
    check_all_cases();
}

INSTANTIATE_TEST_SUITE_P(Fixtures, FixtureTest,
                         testing::Values("llama3_biases", "llama_dynamic", "llama_linear", "llama_yarn",
                                         "mistral_no_window", "qwen2_window", "qwen3_yarn", "phi3_longrope", "gemma2",
                                         "gemma_legacy_gelu", "opt_norm_after", "opt_no_affine",
                                         "persimmon_no_qk_norm"),
                         [](const auto& info) { return std::string(info.param); });

/** Early fusion: attention pictures, and the mask that a manifest may ask for instead. */
class EarlyFusionTest : public GoldenTest {};

TEST_P(EarlyFusionTest, AttentionWeightsAndFullMask) {
    Golden golden(folder_);
    Model model(folder_, {{"tap_attention", true}});
    Model full(folder_, {{"mask", "full"}});
    for (int number = 0; number < golden.cases(); ++number) {
        std::string prefix = "case" + std::to_string(number) + ".";
        vlm_backbone_context* context = model.make_context(256);
        model.listen = true;
        model.run(context, golden.prompt(number), VLM_LOGITS_NONE);
        model.listen = false;
        EXPECT_LE(distance(model.taps["attn.layer0"].values, golden.floats(prefix + "attn.layer0")), 1e-5) << prefix;
        model.destroy_context(context);
        if (!golden.has(prefix + "full.logits")) continue;
        context = full.make_context(256);
        TestOutput out = full.run(context, golden.prompt(number), VLM_LOGITS_ALL);
        EXPECT_LE(distance(out.logits, golden.floats(prefix + "full.logits")), kTolerance) << prefix;
        full.destroy_context(context);
    }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, EarlyFusionTest,
                         testing::Values("early_fusion", "early_fusion_interleaved", "hybrid_early_fusion"),
                         [](const auto& info) { return std::string(info.param); });

/** FastV checkpoints: pruning between layers, alone and on merged rows. */
class FastvTest : public GoldenTest {};

TEST_P(FastvTest, MatchesReference) {
    Golden golden(folder_);
    std::ifstream file(folder_ / "expected.json");
    nlohmann::json expected = nlohmann::json::parse(file);
    for (const char* unmerge : {"expand", "compact"}) {
        Model model(folder_, {{"unmerge", unmerge}});
        for (int number = 0; number < golden.cases(); ++number) {
            std::string prefix = "case" + std::to_string(number) + ".";
            PruneHook hook;
            nlohmann::json fastv = expected["cases"][static_cast<size_t>(number)]["fastv"];
            model.hook = nullptr;
            if (!fastv.is_null()) {
                hook.layer = fastv["layer"];
                hook.decide = [&](const vlm_token_view& view) { return keep_best(view, fastv["keep"]); };
                model.hook = &hook;
            }
            vlm_backbone_context* context = model.make_context(512);
            TestOutput out = model.run(context, golden.prompt(number), VLM_LOGITS_ALL);
            EXPECT_LE(distance(out.logits, golden.floats(prefix + "logits")), kTolerance) << unmerge << prefix;
            auto rows = golden.integers(prefix + "llm.row_of_logits");
            EXPECT_EQ(std::vector<int64_t>(out.input_rows.begin(), out.input_rows.end()), rows) << unmerge << prefix;
            auto ids = golden.integers(prefix + "generated_ids");
            EXPECT_EQ(model.greedy(context, out.logits, ids.size()), ids) << unmerge << prefix;
            model.destroy_context(context);
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Checkpoints, FastvTest, testing::Values("fastv", "hybrid", "dymu"),
                         [](const auto& info) { return std::string(info.param); });

}  // namespace
}  // namespace vlm::test
