/** @file stages_test.cpp
 *  The tiny shape from writing its checkpoint to the report, with the plugins of this build.
 */
#include "host/bench/stages.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "host/base/error.hpp"
#include "host/bench/random_checkpoint.hpp"
#include "host/bench/report.hpp"
#include "host/json/document.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm::bench {
namespace {

namespace fs = std::filesystem;

class Bench : public ::testing::Test {
  protected:
    void SetUp() override {
        folder_ = fs::path(testing::TempDir()) / ("vlm_bench_" + std::to_string(getpid()));
        fs::remove_all(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    static bool has_plugins() { return fs::exists(fs::path(VLM_PLUGIN_DIR) / "libvlm_decoder.so"); }

    std::unique_ptr<Pipeline> open() {
        OpenOptions options;
        options.plugin_folders.emplace_back(VLM_PLUGIN_DIR);
        Manifest manifest = Manifest::for_model(ensure_checkpoint(model_shape("tiny"), folder_));
        manifest.dtype = "f32";
        return Pipeline::open(std::move(manifest), options);
    }

    fs::path folder_;
};

TEST_F(Bench, CheckpointIsWrittenOnceAndAlwaysTheSame) {
    uint64_t last = 0, whole = 0;
    const auto progress = [&](uint64_t done, uint64_t total) {
        last = done;
        whole = total;
    };
    const fs::path first = ensure_checkpoint(model_shape("tiny"), folder_, progress);
    EXPECT_EQ(last, whole);
    EXPECT_GT(whole, 0u);
    const auto store = WeightStore::open(first);
    EXPECT_EQ(store->total_bytes(), whole);
    EXPECT_EQ(store->size(), tensors_of(model_shape("tiny")).size());
    const std::string sum = store->files()[0].sha256();

    last = 0;
    EXPECT_EQ(ensure_checkpoint(model_shape("tiny"), folder_, progress), first);
    EXPECT_EQ(last, 0u) << "written again";
    fs::resize_file(first / "model.safetensors", 1000);  // as an interrupted copy leaves it
    ensure_checkpoint(model_shape("tiny"), folder_, progress);
    EXPECT_EQ(last, whole);
    EXPECT_EQ(WeightStore::open(first)->files()[0].sha256(), sum);
}

TEST_F(Bench, CancelledWritingLeavesNothing) {
    EXPECT_THROW(ensure_checkpoint(model_shape("tiny"), folder_, {}, [] { return true; }), Error);
    for (const auto& entry : fs::recursive_directory_iterator(folder_))
        EXPECT_EQ(entry.path().string().find("safetensors"), std::string::npos) << entry.path();
}

TEST_F(Bench, MeasuresEveryStage) {
    if (!has_plugins()) GTEST_SKIP() << "no plugins in " << VLM_PLUGIN_DIR;
    const auto pipeline = open();
    EXPECT_GT(pipeline->weight_bytes("vision_encoder"), 0);
    EXPECT_GT(pipeline->weight_bytes("backbone"), 0);
    EXPECT_EQ(pipeline->weight_bytes("nothing"), 0);

    StageBench bench(*pipeline, make_image(60, 40, 3, 128), {});
    StageOptions options;
    options.runs = 2;
    options.context = 48;
    options.decode_steps = 3;
    options.batches = {1, 2};
    const auto stages = measure_stages(bench, options);
    ASSERT_EQ(stages.size(), 7u);
    EXPECT_EQ(stages[1].name, "encode");
    EXPECT_GT(stages[1].flops, 0);
    EXPECT_EQ(stages[3].name, "prefill 80") << "16 visual tokens and 64 of text";
    const Stage& one = stages[5];
    const Stage& two = stages[6];
    EXPECT_EQ(one.ms.values.size(), 6u) << "every step of both runs";
    EXPECT_NEAR(two.flops, 2 * one.flops, 1);
    EXPECT_GT(one.bytes, static_cast<double>(pipeline->weight_bytes("backbone")));
    EXPECT_LT(two.bytes, 2 * one.bytes) << "weights are read once for the whole batch";
    // A decoding step reads one token: it computes about what one of the prompt's tokens does.
    EXPECT_LT(one.flops, stages[3].flops);
}

TEST_F(Bench, DecodesMoreStepsThanTheLastTime) {
    if (!has_plugins()) GTEST_SKIP() << "no plugins in " << VLM_PLUGIN_DIR;
    const auto pipeline = open();
    StageBench bench(*pipeline, make_image(60, 40, 3, 128), {});
    EXPECT_EQ(bench.decode(1, 48, 2, 1).ms.values.size(), 2u);
    EXPECT_EQ(bench.decode(2, 48, 9, 1).ms.values.size(), 9u);
    EXPECT_EQ(bench.decode(1, 48, 1, 1).ms.values.size(), 1u);
}

TEST_F(Bench, ReportsAreComparedWithTheirOwnJson) {
    Report report;
    report.subject = "tiny";
    report.peak = {1e12, "f32, AVX2", 1e10};
    report.load_ms.add(10);
    report.peak_mb = 100;
    Stage stage;
    stage.name = "encode";
    stage.ms.values = {2, 2.1, 2.2};
    stage.flops = 1e9;
    stage.tokens = 21;
    report.stages.push_back(stage);
    const std::string json = to_json(report);
    const auto document = json::Document::from_text(json, "report");
    const auto encode = document["stages"]["encode"];
    EXPECT_NEAR(encode["share_of_peak"].as_number(), 1e9 / 2.1e-3 / 1e12, 1e-5);
    EXPECT_NEAR(encode["tokens_per_s"].as_number(), 10000, 0.1);
    EXPECT_EQ(encode["ms"]["count"].as_int(), 3);
    EXPECT_FALSE(encode.contains("share_of_bandwidth"));

    report.stages[0].ms.values = {1, 1.05, 1.1};
    stage.name = "new one";
    report.stages.push_back(stage);
    const std::string text = compare(json, "old.json", report);
    EXPECT_NE(text.find("2.00x"), std::string::npos) << text;
    EXPECT_NE(text.find("new one"), std::string::npos) << text;
    EXPECT_NE(text.find("not measured"), std::string::npos) << text;
    EXPECT_THROW(compare("{}", "old.json", report), Error);
    EXPECT_THROW(compare("not JSON", "old.json", report), Error);
    EXPECT_NE(to_text(report).find("encode"), std::string::npos);
}

}  // namespace
}  // namespace vlm::bench
