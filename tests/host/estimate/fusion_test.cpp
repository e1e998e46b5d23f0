/** @file fusion_test.cpp
 *  The kinds side by side: the model's own is what was counted, and the derived ones follow the formulas of --help.
 */
#include "host/estimate/fusion.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>

#include "host/bench/random_checkpoint.hpp"

namespace {

namespace fs = std::filesystem;
using namespace vlm::estimate;

constexpr int kWidth = 600, kHeight = 1000;

/** A pipeline of a shape without weights, and what a question costs it. */
struct Estimated {
    explicit Estimated(const char* shape, const char* weights = "auto")
        : folder(fs::path(testing::TempDir()) / ("vlm_fusion_" + std::to_string(getpid()) + shape + weights)) {
        fs::create_directories(folder);
        vlm::bench::write_hollow_checkpoint(vlm::bench::model_shape(shape), folder);
        open(folder, weights);
    }
    explicit Estimated(const fs::path& checkpoint) { open(checkpoint, "auto"); }
    ~Estimated() {
        std::error_code ignored;
        if (!folder.empty()) fs::remove_all(folder, ignored);
    }
    void open(const fs::path& checkpoint, const char* weights) {
        vlm::OpenOptions options;
        options.plugin_folders = {VLM_PLUGIN_DIR};
        auto manifest = vlm::Manifest::for_model(checkpoint);
        manifest.weights = weights;
        pipeline = open_dry(manifest, options, device);
        stages = run_stages(*pipeline, kWidth, kHeight, 64);
        kinds = compare_fusion(*pipeline, *device, stages, kWidth, kHeight, 100);
    }

    fs::path folder;
    std::shared_ptr<DryDevice> device;
    std::unique_ptr<vlm::Pipeline> pipeline;
    Stages stages;
    std::vector<Fusion> kinds;
};

TEST(Fusion, TheModelsOwnKindIsWhatWasCounted) {
    const Estimated llava("llava-1.1b");
    ASSERT_EQ(llava.kinds.size(), 3u);
    const Fusion& own = llava.kinds[0];
    EXPECT_TRUE(own.own);
    EXPECT_FALSE(llava.kinds[1].own || llava.kinds[2].own);
    EXPECT_EQ(own.visual_tokens, 576);
    EXPECT_EQ(own.sequence, 576 + 64);
    EXPECT_EQ(own.prefill.flops(), llava.stages.prefill.flops());
    EXPECT_EQ(own.encode.flops(), llava.stages.encode.flops());
    EXPECT_EQ(own.decode.weight_bytes, llava.stages.decode.weight_bytes);
    EXPECT_DOUBLE_EQ(own.compression, 3.0 * kWidth * kHeight / (576 * 2048));
    EXPECT_DOUBLE_EQ(own.connector_compression, 576.0 * 1024 / (576 * 2048));
    // Two bytes a weight, 4 heads of 64 in 22 layers. The table of words stays in the file.
    EXPECT_DOUBLE_EQ(own.kv_bytes, 640.0 * 2 * 22 * 4 * 64 * 2);
    const double file = static_cast<double>(fs::file_size(llava.folder / "model.safetensors"));
    EXPECT_NEAR(own.weight_bytes, file - 32064.0 * 2048 * 2, 0.01 * file);
    EXPECT_DOUBLE_EQ(own.new_weights, 1024.0 * 2048 + 2048.0 * 2048);
}

TEST(Fusion, FourBitsAreForTheBackboneWithoutItsOutputLayer) {
    const Estimated plain("llava-1.1b", "bf16"), small("llava-1.1b", "int4");
    const double head = 32064.0 * 2048;
    const auto weights = [](const Estimated& e) { return e.stages.decode.weight_bytes; };
    EXPECT_DOUBLE_EQ(weights(small), (weights(plain) / 2 - head) * 4.5 / 8 + head * 8.25 / 8);
    EXPECT_DOUBLE_EQ(small.stages.encode.weight_bytes, plain.stages.encode.weight_bytes / 2 * 8.25 / 8);
}

TEST(Fusion, CrossAttentionFollowsItsFormulas) {
    const Estimated llava("llava-1.1b");
    const Fusion& cross = llava.kinds[1];
    const double v = 1024, d = 2048, d_kv = 4 * 64, words = 64, latents = 64, features = 576, blocks = 22 / 4;
    const double resampler = 6 * (4 * latents * v * v + 4 * (features + latents) * v * v + 16 * latents * v * v +
                                  4 * latents * (features + latents) * v);
    EXPECT_DOUBLE_EQ(cross.connect.flops(), resampler);
    EXPECT_EQ(cross.sequence, words);
    const double layer = 2 * (2 * d * d + 2 * d * d_kv + 3 * d * 5632);  // of a word
    const double gates =
        blocks * (words * (4 * d * d + layer * 2 / 3) + 4 * latents * v * d_kv + 4 * words * latents * d);
    const double text = text_work(*llava.pipeline, 64).prefill.flops();
    EXPECT_NEAR(cross.prefill.flops(), text + gates, 1e-9 * text);
    EXPECT_DOUBLE_EQ(cross.new_weights, 6 * 12 * v * v + blocks * (2 * d * d + 2 * v * d_kv + layer / 3));
    EXPECT_GT(cross.decode.weight_bytes, llava.stages.decode.weight_bytes);
    EXPECT_LT(cross.kv_bytes, llava.kinds[0].kv_bytes);
    EXPECT_DOUBLE_EQ(cross.connector_compression, features / latents);
}

TEST(Fusion, EarlyFusionHasATokenPerPatchAndNewline) {
    const Estimated llava("llava-1.1b");
    const Fusion& early = llava.kinds[2];
    const double rows = std::ceil(kHeight / 30.0), columns = std::ceil(kWidth / 30.0);
    EXPECT_EQ(early.visual_tokens, rows * (columns + 1));
    EXPECT_EQ(early.encode.flops(), 0);
    EXPECT_DOUBLE_EQ(early.connect.flops(), rows * columns * 2 * 2700 * 2048);
    EXPECT_DOUBLE_EQ(early.prefill.flops(),
                     text_work(*llava.pipeline, static_cast<int64_t>(early.sequence)).prefill.flops());
    // No tower: the language model alone, and a layer for the patches.
    EXPECT_DOUBLE_EQ(early.weight_bytes,
                     static_cast<double>(llava.pipeline->weight_bytes("backbone")) + 2700.0 * 2048 * 2);
}

TEST(Fusion, AnAnswersTimeIsTheSumOfItsStages) {
    const Estimated llava("tiny");
    const Machine machine{"m", 1e9, 1e8, ""};
    const Fusion& own = llava.kinds[0];
    EXPECT_DOUBLE_EQ(own.seconds(machine, 10), seconds(own.encode, machine) + seconds(own.connect, machine) +
                                                   seconds(own.prefill, machine) + 10 * seconds(own.decode, machine));
    EXPECT_DOUBLE_EQ(own.peak_bytes, peak_bytes(own.weight_bytes, own.kv_bytes * (own.sequence + 100) / own.sequence,
                                                static_cast<double>(llava.stages.scratch_bytes), kWidth, kHeight));
}

TEST(Fusion, ModelsWithoutATowerAreComparedWithOneOfClip) {
    const auto folder = fs::path(VLM_GOLDEN_DIR) / "fuyu";
    if (!fs::exists(folder / "config.json")) GTEST_SKIP() << "no reference checkpoint 'fuyu'; set VLM_GOLDEN_DIR";
    const Estimated fuyu(folder), llava("llava-1.1b");
    EXPECT_TRUE(fuyu.kinds[2].own);
    EXPECT_FALSE(fuyu.kinds[0].own);
    // LLaVA takes its features from the last layer but one, so it runs 23 of the 24 layers.
    EXPECT_NEAR(fuyu.kinds[0].encode.flops(), llava.stages.encode.flops() * 24 / 23,
                0.01 * llava.stages.encode.flops());
}

TEST(Fusion, SequencesBeyondTheContextAreSaidToBeTooLong) {
    const auto folder = fs::path(VLM_GOLDEN_DIR) / "llava";
    if (!fs::exists(folder / "config.json")) GTEST_SKIP() << "no reference checkpoint 'llava'; set VLM_GOLDEN_DIR";
    const Estimated llava(folder);
    ASSERT_LT(llava.pipeline->backbone().description().max_positions, 34 * 21);
    EXPECT_FALSE(llava.kinds[2].fits);
    EXPECT_EQ(llava.kinds[2].prefill.flops(), 0);
    EXPECT_TRUE(llava.kinds[0].fits);
}

TEST(Fusion, SoIsTheModelsOwnKind) {
    const auto folder = fs::path(VLM_GOLDEN_DIR) / "early_fusion";
    if (!fs::exists(folder / "config.json")) GTEST_SKIP() << "no reference checkpoint; set VLM_GOLDEN_DIR";
    const Estimated early(folder);
    const auto& text = early.pipeline->backbone().description();
    ASSERT_GT(early.stages.visual_tokens, text.max_positions);
    EXPECT_FALSE(early.stages.fits);
    EXPECT_EQ(early.stages.prefill.flops(), 0);
    EXPECT_GT(early.stages.connect.flops(), 0);
    EXPECT_EQ(early.stages.kv_bytes, (early.stages.visual_tokens + early.stages.text_tokens) * text.kv_bytes_per_token);
    EXPECT_TRUE(early.kinds[2].own);
    EXPECT_FALSE(early.kinds[2].fits);
}

}  // namespace
