/** @file steps_test.cpp
 *  A whole checkpoint on the emulated GPU: the text of the CPU, one wait per generated token, and what is said when its
 * memory is too small.
 */
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>

#include "host/base/error.hpp"
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
    /** The last of equal requests' answers. */
    static std::string answer(const Pipeline& pipeline, int64_t tokens, size_t requests = 1) {
        Request request;
        request.prompt = "<|vision_start|><|image_pad|><|vision_end|>";
        request.images.push_back({"row", decode_file(std::string(VLM_TEST_DATA) + "/rx_rows/english_entry.png")});
        GenerationOptions options;
        options.max_new_tokens = tokens;
        options.ignore_eos = true;
        return pipeline.answer(std::vector<Request>(requests, request), options).back().text;
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

/** FastV's map depends on the host's list of rows, so a prefill waits for it; decoding and the layers do not. */
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
    constexpr int64_t kWaits = 3;  // the rows' images, what is protected, the map
    EXPECT_EQ(waits(*pruned, 4) - waits(*plain, 4), kWaits);
    EXPECT_EQ(waits(*pruned, 9) - waits(*plain, 9), kWaits);
    EXPECT_EQ(answer(*pruned, 9), answer(*open("cpu", 1, with_fastv(1)), 9));
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
