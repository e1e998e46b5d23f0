/** @file steps_test.cpp
 *  A whole checkpoint on the emulated GPU: the text of the CPU, one wait per generated token, and what is said when its
 * memory is too small.
 */
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <functional>

#include "host/base/error.hpp"
#include "host/bench/random_checkpoint.hpp"
#include "host/compute/decoding_device.hpp"
#include "host/image/decode.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm {
namespace {

class Steps : public testing::Test {
  protected:
    static std::unique_ptr<Pipeline> open(const std::string& device, int64_t batch = 1,
                                          const std::function<void(Manifest&)>& set = {}) {
        setenv("VLM_EMULATED_ORDER", "late", 1);
        setenv("VLM_CUDA_LIBRARY", VLM_EMULATED_CUDA, 1);
        Manifest manifest = Manifest::for_model(std::string(VLM_SOURCE_DIR) + "/models/rx-small");
        manifest.device = device;
        manifest.dtype = "f32";
        manifest.use_template = false;
        manifest.batch = batch;
        if (set) set(manifest);
        OpenOptions options;
        options.plugin_folders = {VLM_PLUGIN_DIR};
        return Pipeline::open(std::move(manifest), options);
    }
    static DecodingCounters counters(const Pipeline& pipeline) {
        return dynamic_cast<const DecodingDevice&>(pipeline.device()).decoding_counters();
    }
    /** The last of equal requests' answers. */
    static std::string answer(const Pipeline& pipeline, int64_t tokens, size_t requests = 1) {
        return ask(pipeline, tokens, "<|vision_start|><|image_pad|><|vision_end|>", requests).text;
    }
    static Result ask(const Pipeline& pipeline, int64_t tokens, const std::string& prompt, size_t requests = 1) {
        Request request;
        request.prompt = prompt;
        request.images.push_back({"row", decode_file(std::string(VLM_TEST_DATA) + "/rx_rows/english_entry.png")});
        GenerationOptions options;
        options.max_new_tokens = tokens;
        options.ignore_eos = true;
        return pipeline.answer(std::vector<Request>(requests, request), options).back();
    }
};

TEST_F(Steps, TheEmulatedGpuAnswersAsTheCpuAndWaitsOncePerToken) {
    const auto cpu = open("cpu"), gpu = open("cuda");
    EXPECT_EQ(cpu->device().counters().synchronizations, 0);
    const std::string expected = answer(*cpu, 9);
    EXPECT_FALSE(expected.empty());
    const int64_t start = gpu->device().counters().synchronizations;
    answer(*gpu, 4);
    const int64_t four = gpu->device().counters().synchronizations;
    EXPECT_EQ(answer(*gpu, 9), expected);
    const int64_t nine = gpu->device().counters().synchronizations;
    EXPECT_EQ((nine - four) - (four - start), 5);
}

TEST_F(Steps, ManySequencesWaitTogether) {
    const auto gpu = open("cuda", 3);
    const std::string alone = answer(*gpu, 9);
    const int64_t start = gpu->device().counters().synchronizations;
    answer(*gpu, 4, 3);
    const int64_t four = gpu->device().counters().synchronizations;
    EXPECT_EQ(answer(*gpu, 9, 3), alone);
    const int64_t nine = gpu->device().counters().synchronizations;
    EXPECT_EQ((nine - four) - (four - start), 5);
}

/** The rows themselves are 4 bytes per token of the vocabulary. */
TEST_F(Steps, ATokenOfEachSequenceComesBackInsteadOfItsLogits) {
    const auto cpu = open("cpu", 3), gpu = open("cuda", 3);
    const int64_t vocabulary = gpu->backbone().description().output_size;
    const auto tokens = [](const Pipeline& pipeline, double temperature, int64_t top_k, double penalty) {
        Request request;
        request.prompt = "<|vision_start|><|image_pad|><|vision_end|>";
        request.images.push_back({"row", decode_file(std::string(VLM_TEST_DATA) + "/rx_rows/english_entry.png")});
        GenerationOptions options;
        options.max_new_tokens = 6;
        options.ignore_eos = true;
        options.temperature = temperature;
        options.top_k = top_k;
        options.top_p = 0.95;
        options.repetition_penalty = penalty;
        options.seed = 11;
        std::vector<TokenPiece> all;
        for (const Result& result : pipeline.answer(std::vector<Request>(3, request), options))
            all.insert(all.end(), result.answers[0].tokens.begin(), result.answers[0].tokens.end());
        return all;
    };
    struct Case {
        double temperature;
        int64_t top_k;
        double penalty;
        bool found_there;
    };
    for (const Case& c : {Case{0, 0, 1, true}, {1.5, 20, 1, true}, {1.5, 0, 1, false}, {0, 0, 1.3, false}}) {
        const int64_t before = counters(*gpu).downloaded_bytes;
        const auto found = tokens(*gpu, c.temperature, c.top_k, c.penalty);
        const int64_t bytes = counters(*gpu).downloaded_bytes - before;
        const int64_t rows = 3 * 6 * vocabulary * 4;
        if (c.found_there) {
            EXPECT_LT(bytes, rows / 4);
        } else {
            EXPECT_GE(bytes, rows);
        }
        const auto expected = tokens(*cpu, c.temperature, c.top_k, c.penalty);
        ASSERT_EQ(found.size(), expected.size());
        for (size_t i = 0; i < found.size(); ++i) {
            EXPECT_EQ(found[i].id, expected[i].id);
            EXPECT_NEAR(found[i].log_probability, expected[i].log_probability,
                        1e-3);  // of logits in another order of sums
        }
    }
}

/** The decoder keeps positions and masks on the host, so a prefill waits for the map that FastV has made; what FastV
 * has to count is known on the host, and decoding waits for nothing of it. */
TEST_F(Steps, PruningWaitsOnlyWhereTheTokensAreChosen) {
    const auto with_fastv = [](int32_t layer) {
        return [layer](Manifest& manifest) {
            StageManifest fastv;
            fastv.plugin = "org.vlmhost.fastv";
            fastv.options = R"({"layer": )" + std::to_string(layer) + R"(, "ratio": 0.5})";
            manifest.token_reducers = {fastv};
        };
    };
    const auto waits = [](const Pipeline& pipeline, int64_t tokens) {
        const int64_t before = pipeline.device().counters().synchronizations;
        answer(pipeline, tokens);
        return pipeline.device().counters().synchronizations - before;
    };
    const auto plain = open("cuda"), pruned = open("cuda", 1, with_fastv(1));
    constexpr int64_t kWaits = 1;  // the map
    EXPECT_EQ(waits(*pruned, 4) - waits(*plain, 4), kWaits);
    EXPECT_EQ(waits(*pruned, 9) - waits(*plain, 9), kWaits);
    EXPECT_EQ(answer(*pruned, 9), answer(*open("cpu", 1, with_fastv(1)), 9));
}

/** Merging inside the tower reads its map back once, at its end, for the decoder and for the report together. */
TEST_F(Steps, MergingAndPruningWaitOnceEach) {
    const std::filesystem::path folder =
        std::filesystem::path(testing::TempDir()) / ("vlm_steps_" + std::to_string(getpid()));
    const auto model = bench::ensure_checkpoint(bench::model_shape("tiny"), folder);
    const auto with = [&](bool dymu, bool fastv, const char* unmerge = "expand") {
        return [&, dymu, fastv, unmerge](Manifest& manifest) {
            manifest.model = model;
            manifest.backbone.options = std::string(R"({"unmerge": ")") + unmerge + R"("})";
            StageManifest stage;
            stage.plugin = "org.vlmhost.dymu";
            stage.options = R"({"tokens": 4})";
            stage.protect = 0.01;
            if (dymu) manifest.token_reducers.push_back(stage);
            stage.plugin = "org.vlmhost.fastv";
            stage.options = R"({"layer": 1, "ratio": 0.25})";
            if (fastv) manifest.token_reducers.push_back(stage);
        };
    };
    const auto waits = [](const Pipeline& pipeline, int64_t tokens) {
        const int64_t before = pipeline.device().counters().synchronizations;
        const Result result = ask(pipeline, tokens, "what is it");
        EXPECT_EQ(result.tokens.generated, tokens);
        return pipeline.device().counters().synchronizations - before;
    };
    const auto plain = open("cuda", 1, with(false, false)), dymu = open("cuda", 1, with(true, false)),
               both = open("cuda", 1, with(true, true)), compact = open("cuda", 1, with(true, true, "compact"));
    const int64_t none = waits(*plain, 3);
    EXPECT_EQ(waits(*plain, 7) - none, 4);
    EXPECT_EQ(waits(*dymu, 3) - none, 1);
    EXPECT_EQ(waits(*both, 3) - none, 2);
    EXPECT_EQ(waits(*both, 7) - waits(*plain, 7), 2);
    EXPECT_EQ(waits(*compact, 7) - waits(*plain, 7), 2);
    EXPECT_EQ(ask(*compact, 7, "what is it").text,
              ask(*open("cpu", 1, with(true, true, "compact")), 7, "what is it").text);
    EXPECT_GT(ask(*both, 3, "what is it").tokens.merged, 0);
    EXPECT_EQ(ask(*both, 7, "what is it").text, ask(*open("cpu", 1, with(true, true)), 7, "what is it").text);
    // In bf16 too, where scores and sizes stay f32.
    const auto half = open("cuda", 1, [&](Manifest& manifest) {
        with(true, true)(manifest);
        manifest.dtype = "bf16";
    });
    EXPECT_EQ(ask(*half, 3, "what is it").tokens.generated, 3);
    std::filesystem::remove_all(folder);
}

class SmallGpu : public Steps {
  protected:
    void SetUp() override { setenv("VLM_EMULATED_MEMORY", "4000000", 1); }
    void TearDown() override { unsetenv("VLM_EMULATED_MEMORY"); }
    static std::string refusal(const std::function<void(Manifest&)>& set = {}) {
        try {
            open("cuda", 1, set);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_RESOURCE_EXHAUSTED);
            return error.what();
        }
        return {};
    }
};

TEST_F(SmallGpu, APlanThatDoesNotFitIsRefusedBeforeWeightsAreRead) {
    const std::string message = refusal();
    for (const char* part : {"the plan is ", "weights ", "KV cache ", "activations ", "the GPU, which has 4 MB",
                             "use weights of fewer bits"})
        EXPECT_NE(message.find(part), std::string::npos) << message;
    EXPECT_EQ(message.find("weights take"), std::string::npos) << "weights were uploaded: " << message;
}

TEST_F(SmallGpu, AnUncheckedPlanIsNamedWhenMemoryRunsOut) {
    const std::string message = refusal([](Manifest& manifest) { manifest.memory_limit_mb = 0; });
    EXPECT_NE(message.find("weights take"), std::string::npos) << message;
    EXPECT_NE(message.find("; the plan was "), std::string::npos) << message;
}

}  // namespace
}  // namespace vlm
