/** @file memory_plan_test.cpp
 *  What a plan says, held against what was measured; and that a question which does not fit is refused before weights
 *  are read. The model is a tiny one with random weights; models of the reference folder are tried where they are.
 */
#include "host/pipeline/memory_plan.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "host/base/error.hpp"
#include "host/bench/random_checkpoint.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

class MemoryPlanTest : public ::testing::Test {
  protected:
    void SetUp() override {
        if (!fs::exists(fs::path(VLM_PLUGIN_DIR) / "libvlm_decoder.so"))
            GTEST_SKIP() << "no plugins in " << VLM_PLUGIN_DIR;
        folder_ = fs::path(testing::TempDir()) / ("vlm_memory_plan_" + std::to_string(getpid()));
    }
    void TearDown() override { fs::remove_all(folder_); }

    Manifest tiny() const {
        Manifest manifest = Manifest::for_model(bench::ensure_checkpoint(bench::model_shape("tiny"), folder_));
        manifest.dtype = "f32";
        manifest.packed_cache = "off";
        manifest.generation.ignore_eos = true;
        manifest.generation.max_new_tokens = 8;
        return manifest;
    }
    OpenOptions options() {
        OpenOptions open;
        open.plugin_folders.emplace_back(VLM_PLUGIN_DIR);
        open.listeners.progress = [this](uint64_t, uint64_t) { ++loading_; };
        return open;
    }
    /** The message of the refusal of opening; empty when it opens. */
    std::string refusal(const Manifest& manifest, const OpenOptions& open) const {
        try {
            Pipeline::open(manifest, open);
            return {};
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_RESOURCE_EXHAUSTED) << error.what();
            return error.what();
        }
    }
    static Request request(int width, int height) {
        Request r;
        r.prompt = "what is it";
        r.images.push_back({"page", make_image(width, height, 3, 128)});
        return r;
    }

    /** Answers with `manifest` and compares every number of the plan with what was counted. */
    void compare(const Manifest& manifest, const std::string& name) {
        OpenOptions dry = options();
        dry.load_weights = false;
        FirstQuestion question;
        question.images.push_back({300, 200});
        question.prompt = "what is it";
        const MemoryPlan planned = Pipeline::open(manifest, dry)->plan(question);
        const auto pipeline = Pipeline::open(manifest, options());
        const auto result = pipeline->answer({request(300, 200)}, manifest.generation).front();
        const auto counters = pipeline->device().counters();
        // Never less than what is taken, or the plan protects nobody; never so much more that it refuses what would go.
        constexpr double kMargin = 1.25, kMost = 12;
        constexpr int64_t kSmall = int64_t{4} << 20;  // roundings and tables that do not grow with the model
        EXPECT_LE(static_cast<double>(counters.weight_bytes), kMargin * static_cast<double>(planned.weight_bytes) + 1e6)
            << name;
        EXPECT_GE(static_cast<double>(counters.weight_bytes) * 2, static_cast<double>(planned.weight_bytes)) << name;
        EXPECT_LE(result.tokens.kv_bytes, planned.kv_bytes + kSmall) << name;
        EXPECT_LE(counters.peak_scratch_bytes, planned.activation_bytes + kSmall) << name;
        EXPECT_LE(static_cast<double>(planned.activation_bytes - kSmall),
                  kMost * static_cast<double>(counters.peak_scratch_bytes))
            << name;
        EXPECT_EQ(planned.prompt_tokens, result.tokens.text + result.tokens.visual) << name;
        RecordProperty(name, std::to_string(planned.activation_bytes) + " planned, " +
                                 std::to_string(counters.peak_scratch_bytes) + " measured");
    }

    fs::path folder_;
    int loading_ = 0;
};

TEST_F(MemoryPlanTest, PlansAreWithinReasonOfWhatIsMeasured) {
    compare(tiny(), "tiny");
}

TEST_F(MemoryPlanTest, SoAreThoseOfReferenceModels) {
    int tried = 0;
    for (const char* name : {"llava", "llava_next", "qwen2_vl", "internvl", "paligemma", "idefics3"}) {
        const fs::path model = fs::path(VLM_GOLDEN_DIR) / name;
        if (!fs::exists(model / "model.safetensors")) continue;
        Manifest manifest = tiny();
        manifest.model = model;
        compare(manifest, name);
        ++tried;
    }
    if (tried == 0) GTEST_SKIP() << "no reference models in " << VLM_GOLDEN_DIR;
}

TEST_F(MemoryPlanTest, WeightsThatDoNotFitAreRefusedBeforeTheyAreRead) {
    Manifest manifest = tiny();
    manifest.memory_limit_mb = 1;
    const std::string message = refusal(manifest, options());
    for (const char* word : {"weights", "KV cache", "activations", "memory_limit_mb allows 1.0 MB", "--memory-limit"})
        EXPECT_NE(message.find(word), std::string::npos) << message;
    EXPECT_EQ(loading_, 0);
    manifest.memory_limit_mb = 0;
    EXPECT_EQ(refusal(manifest, options()), "");
    EXPECT_GT(loading_, 0);
}

TEST_F(MemoryPlanTest, AContextBeyondTheMachineIsRefused) {
    Manifest manifest = tiny();
    manifest.max_context = int64_t{1} << 40;
    const std::string message = refusal(manifest, options());
    EXPECT_NE(message.find("left according to"), std::string::npos) << message;
    EXPECT_EQ(loading_, 0);
}

TEST_F(MemoryPlanTest, AContextThatOverflowsIsRefusedBeforeWeightsAreRead) {
    Manifest manifest = tiny();
    manifest.max_context = 4;
    OpenOptions open = options();
    open.first.images.push_back({300, 200});
    open.first.prompt = "what is it";
    const std::string message = refusal(manifest, open);
    EXPECT_NE(message.find("context holds 4"), std::string::npos) << message;
    EXPECT_EQ(loading_, 0);
}

TEST_F(MemoryPlanTest, ImagesThatOverflowAreRefusedBeforeTheyAreEncoded) {
    Manifest manifest = tiny();
    manifest.max_context = 4;
    const auto pipeline = Pipeline::open(manifest, options());
    Listeners listeners;
    int encoded = 0;
    listeners.tap = [&](const std::string&, const vlm_tensor&) { ++encoded; };
    EXPECT_THROW(pipeline->answer({request(300, 200)}, manifest.generation, listeners), Error);
    EXPECT_EQ(encoded, 0);
}

TEST_F(MemoryPlanTest, AMessageShowsEveryPart) {
    MemoryPlan plan;
    plan.weight_bytes = 14'000'000'000;
    plan.kv_bytes = 2'500'000;
    plan.sequences = 8;
    plan.context_tokens = 4096;
    const std::string text = plan.text();
    for (const char* word : {"14.0 GB of memory", "weights 14.0 GB", "KV cache 2.5 MB", "8 x 4096 tokens"})
        EXPECT_NE(text.find(word), std::string::npos) << text;
}

}  // namespace
}  // namespace vlm
