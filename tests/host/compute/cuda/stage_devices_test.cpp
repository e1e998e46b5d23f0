/** @file stage_devices_test.cpp
 *  Pipelines whose stages are on different devices: the CPU and two emulated GPUs, each of which refuses tensors of
 * another device. Wherever a stage is, the answer is the CPU's.
 */
#include "host/pipeline/stage_devices.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/bench/random_checkpoint.hpp"
#include "host/image/decode.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/session.hpp"

namespace vlm {
namespace {

using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
namespace fs = std::filesystem;

using Places = std::array<std::string, 3>;

class StagesApart : public testing::Test {
  protected:
    void SetUp() override {
        setenv("VLM_EMULATED_ORDER", "late", 1);
        setenv("VLM_CUDA_LIBRARY", VLM_EMULATED_CUDA, 1);
    }
    void TearDown() override {
        unsetenv("VLM_EMULATED_MEMORY");
        if (!folder_.empty()) fs::remove_all(folder_);
    }

    static json manifest_of(const Places& places) {
        json manifest = {{"model", std::string(VLM_SOURCE_DIR) + "/models/rx-small"},
                         {"dtype", "f32"},
                         {"use_template", false},
                         {"packed_cache", "off"}};
        for (const StageKind kind : kStageKinds)
            manifest["pipeline"][stage_name(kind)]["device"] = places[static_cast<size_t>(kind)];
        return manifest;
    }
    static std::shared_ptr<Pipeline> open(const json& manifest, OpenOptions options = {}) {
        options.plugin_folders = {VLM_PLUGIN_DIR, VLM_SAMPLE_REDUCER};
        return Pipeline::open(Manifest::from_text(manifest.dump(), "test manifest", VLM_SOURCE_DIR), options);
    }
    static std::string refusal(const json& manifest, vlm_status code, OpenOptions options = {}) {
        try {
            open(manifest, std::move(options));
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), code) << error.what();
            return error.what();
        }
        return "accepted";
    }
    static Request question() {
        Request request;
        request.prompt = "<|vision_start|><|image_pad|><|vision_end|>";
        request.images.push_back({"row", decode_file(std::string(VLM_TEST_DATA) + "/rx_rows/english_entry.png")});
        return request;
    }
    static Result answer(const Pipeline& pipeline, const Request& request) {
        GenerationOptions options;
        options.max_new_tokens = 4;
        options.ignore_eos = true;
        return pipeline.answer({request}, options).front();
    }
    /** A model in LLaVA's shape, whose tower has hooks; random weights. */
    json tiny(const Places& places) {
        folder_ = fs::path(testing::TempDir()) / ("vlm_stages_apart_" + std::to_string(getpid()));
        json manifest = manifest_of(places);
        manifest["model"] = bench::ensure_checkpoint(bench::model_shape("tiny"), folder_).string();
        return manifest;
    }

    fs::path folder_;
};

TEST_F(StagesApart, EveryPlacementAnswersAsTheCpu) {
    const std::string expected = answer(*open(manifest_of({"cpu", "cpu", "cpu"})), question()).text;
    ASSERT_FALSE(expected.empty());
    const Places placements[] = {{"cuda:0", "cpu", "cpu"},       {"cpu", "cuda:0", "cpu"},
                                 {"cpu", "cpu", "cuda:0"},       {"cuda:0", "cuda:0", "cuda:1"},
                                 {"cuda:1", "cuda:0", "cuda:0"}, {"cuda:0", "cpu", "cuda:1"},
                                 {"cuda:1", "cuda:0", "cpu"},    {"cpu", "cuda:1", "cuda:0"}};
    for (const Places& places : placements) {
        SCOPED_TRACE(json(places).dump());
        const auto pipeline = open(manifest_of(places));
        for (const StageKind kind : kStageKinds) {
            EXPECT_EQ(pipeline->devices().name_of(kind), places[static_cast<size_t>(kind)]);
            EXPECT_GT(pipeline->devices().of(kind).counters().weight_bytes, 0);
        }
        EXPECT_EQ(answer(*pipeline, question()).text, expected);
    }
}

/** Maps and protected tokens go along with the rows that they are about. */
TEST_F(StagesApart, ReducersWorkWhereTheirTokensAre) {
    const json lists[] = {
        {{{"plugin", "org.vlmhost.dymu"}, {"options", {{"tokens", 3}}}},
         {{"plugin", "org.vlmhost.fastv"}, {"options", {{"layer", 1}, {"ratio", 0.5}}}}},
        {{{"plugin", "com.example.half_by_similarity"}, {"options", {{"site", "encoder_output"}, {"protect", 0.01}}}}},
        {{{"plugin", "com.example.half_by_similarity"}, {"options", {{"site", "connector_output"}}}},
         {{"plugin", "org.vlmhost.fastv"}, {"options", {{"layer", 1}, {"ratio", 0.5}, {"protect", 0.01}}}}}};
    Request request;
    request.prompt = "what is it";
    request.images.push_back({"row", decode_file(std::string(VLM_TEST_DATA) + "/rx_rows/english_entry.png")});
    for (const json& list : lists) {
        SCOPED_TRACE(list.dump());
        const auto run = [&](const Places& places) {
            json manifest = tiny(places);
            manifest["pipeline"]["token_reducers"] = list;
            return answer(*open(manifest), request);
        };
        const Result expected = run({"cpu", "cpu", "cpu"});
        EXPECT_GT(expected.tokens.merged + expected.tokens.pruned, 0);
        for (const Places& places : {Places{"cuda:0", "cpu", "cuda:1"}, Places{"cuda:0", "cuda:1", "cpu"}}) {
            SCOPED_TRACE(json(places).dump());
            const Result found = run(places);
            EXPECT_EQ(found.text, expected.text);
            EXPECT_EQ(found.tokens.pruned, expected.tokens.pruned);
            EXPECT_EQ(found.tokens.merged, expected.tokens.merged);
            // What the backbone drops on a GPU is not read back for the report.
            if (places[2] == "cpu") {
                EXPECT_EQ(found.reduced_images.front().row_of_position,
                          expected.reduced_images.front().row_of_position);
            }
        }
    }
}

TEST_F(StagesApart, ASessionReadsOnlyWhatIsNew) {
    const auto talk = [](const Places& places) {
        Session session(open(manifest_of(places)));
        GenerationOptions options;
        options.max_new_tokens = 3;
        options.ignore_eos = true;
        Request again;
        again.prompt = "<|vision_start|>";
        again.raw_prompt = true;
        Request first = question();
        first.raw_prompt = true;
        const std::string text = session.generate(first, options, {}).text;
        const Result second = session.generate(again, options, {});
        EXPECT_GT(second.tokens.reused, 0);
        return text + "|" + second.text;
    };
    EXPECT_EQ(talk({"cuda:0", "cuda:0", "cuda:1"}), talk({"cpu", "cpu", "cpu"}));
}

TEST_F(StagesApart, APlanHasAPartForEachDevice) {
    OpenOptions dry;
    dry.load_weights = false;
    FirstQuestion question;
    question.images.push_back({448, 64});
    question.prompt = "<|vision_start|><|image_pad|><|vision_end|>";
    const auto together = open(manifest_of({"cpu", "cpu", "cpu"}), dry);
    const MemoryPlan whole = together->plan(question);
    ASSERT_EQ(whole.devices.size(), 1u);
    EXPECT_EQ(whole.devices.front().total(), whole.total());
    EXPECT_EQ(whole.text().find(", on "), std::string::npos);

    const auto apart = open(manifest_of({"cuda:1", "cuda:1", "cpu"}), dry);
    const MemoryPlan plan = apart->plan(question);
    ASSERT_EQ(plan.devices.size(), 2u);
    const MemoryShare &gpu = plan.devices[0], &cpu = plan.devices[1];
    EXPECT_EQ(gpu.device, "cuda:1");
    EXPECT_EQ(cpu.device, "cpu");
    EXPECT_EQ(gpu.kv_bytes, 0);
    EXPECT_EQ(cpu.kv_bytes, whole.kv_bytes);
    EXPECT_GT(gpu.weight_bytes, 0);
    EXPECT_GT(cpu.weight_bytes, 0);
    EXPECT_EQ(gpu.weight_bytes + cpu.weight_bytes, whole.weight_bytes);
    EXPECT_EQ(plan.total(), gpu.total() + cpu.total());
    EXPECT_THAT(plan.text(), AllOf(HasSubstr("on cuda:1 "), HasSubstr("on cpu ")));
    EXPECT_THAT(apart->devices().description(),
                AllOf(HasSubstr("vision encoder on cuda:1"), HasSubstr("backbone on cpu")));

    // Loaded, a device counts its own weights.
    const auto loaded = open(manifest_of({"cuda:1", "cuda:1", "cpu"}))->plan(question);
    EXPECT_NEAR(static_cast<double>(loaded.devices[0].weight_bytes), static_cast<double>(gpu.weight_bytes),
                0.25 * static_cast<double>(gpu.weight_bytes) + 1e6);
}

TEST_F(StagesApart, TheDeviceThatIsTooSmallIsNamed) {
    setenv("VLM_EMULATED_MEMORY", "4000000", 1);
    EXPECT_THAT(refusal(manifest_of({"cpu", "cpu", "cuda:1"}), VLM_STATUS_RESOURCE_EXHAUSTED),
                AllOf(HasSubstr("the plan for cuda:1 is"), HasSubstr("the GPU, which has 4 MB")));
    // Each device's part alone counts: here the whole plan would not fit the GPU, the connector's part does.
    const Places places = {"cpu", "cuda:0", "cpu"};
    OpenOptions dry;
    dry.load_weights = false;
    const MemoryPlan plan = open(manifest_of(places), dry)->plan({});
    constexpr int64_t kRounding = 4'000'000;
    const int64_t enough = plan.devices[1].total() + kRounding;
    ASSERT_LT(enough, plan.total());
    setenv("VLM_EMULATED_MEMORY", std::to_string(enough).c_str(), 1);
    EXPECT_EQ(refusal(manifest_of(places), VLM_STATUS_RESOURCE_EXHAUSTED), "accepted");
}

TEST_F(StagesApart, WhatCannotBeIsRefusedByName) {
    EXPECT_THAT(refusal(manifest_of({"cpu", "tpu", "cpu"}), VLM_STATUS_INVALID_ARGUMENT),
                AllOf(HasSubstr("'tpu'"), HasSubstr("asked for by: connector")));
    EXPECT_THAT(refusal(manifest_of({"cuda:7", "cpu", "cuda:7"}), VLM_STATUS_UNAVAILABLE),
                AllOf(HasSubstr("no GPU 7"), HasSubstr("asked for by: vision encoder, backbone")));
    json isolated = manifest_of({"cpu", "cpu", "cuda:0"});
    isolated["pipeline"]["connector"]["isolate"] = true;
    EXPECT_THAT(refusal(isolated, VLM_STATUS_FAILED_PRECONDITION), HasSubstr("the device is 'cuda:0'"));
    json reducer = manifest_of({"cpu", "cpu", "cpu"});
    reducer["pipeline"]["token_reducers"] = {{{"plugin", "org.vlmhost.fastv"}, {"device", "cpu"}}};
    EXPECT_THAT(refusal(reducer, VLM_STATUS_INVALID_ARGUMENT), HasSubstr("reducers work where the tokens are"));
}

TEST(StageDevices, NamesAreOneSpelling) {
    EXPECT_EQ(canonical_device("cuda"), "cuda:0");
    EXPECT_EQ(canonical_device("cuda:1"), "cuda:1");
    EXPECT_EQ(canonical_device("cpu"), "cpu");
    Manifest manifest;
    manifest.device = "cuda";
    manifest.connector.device = "cpu";
    EXPECT_EQ(stage_device_names(manifest), (Places{"cuda:0", "cpu", "cuda:0"}));
}

TEST(StageDevices, CapabilitiesAreKeptTo) {
    const auto says = [](const char* capabilities, const char* device) -> std::string {
        try {
            check_runs_on("org.example.x", capabilities, device);
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_FAILED_PRECONDITION);
            return error.what();
        }
        return "accepted";
    };
    EXPECT_EQ(says(R"({"devices": ["cpu", "cuda"]})", "cuda:3"), "accepted");
    EXPECT_EQ(says(R"({})", "cuda:3"), "accepted");
    EXPECT_EQ(says("no json", "cuda:3"), "accepted");
    EXPECT_EQ(says(R"({"devices": "cpu"})", "cuda:3"), "accepted");
    EXPECT_THAT(says(R"({"devices": ["cpu"]})", "cuda:3"),
                AllOf(HasSubstr("org.example.x runs on cpu"), HasSubstr("its stage is on cuda:3")));
    EXPECT_THAT(says(R"({"devices": [7]})", "cpu"), HasSubstr("runs on no device"));
}

}  // namespace
}  // namespace vlm
