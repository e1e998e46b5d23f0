/** @file estimate_test.cpp
 *  What is predicted agrees with what the compute service counts when the same question is really run.
 */
#include "host/estimate/estimate.hpp"

#include <gtest/gtest.h>

#include "host/base/error.hpp"
#include "host/estimate/plot.hpp"

namespace {

namespace fs = std::filesystem;
using namespace vlm::estimate;

vlm::OpenOptions options() {
    vlm::OpenOptions open;
    open.plugin_folders = {VLM_PLUGIN_DIR};
    return open;
}

vlm::Manifest manifest_of(const fs::path& folder) {
    auto manifest = vlm::Manifest::for_model(folder);
    manifest.dtype = "f32";
    return manifest;
}

/** Reference checkpoints; the first of them are of different families. */
std::vector<fs::path> checkpoints() {
    std::vector<fs::path> found;
    if (!fs::is_directory(VLM_GOLDEN_DIR)) return found;
    for (const auto& entry : fs::directory_iterator(VLM_GOLDEN_DIR))
        if (fs::exists(entry.path() / "config.json")) found.push_back(entry.path());
    std::sort(found.begin(), found.end());
    return found;
}

void expect_within(double predicted, double counted, const std::string& what) {
    EXPECT_LE(std::abs(predicted - counted), 0.02 * counted)
        << what << ": predicted " << predicted << ", counted " << counted;
}

TEST(Estimate, AgreesWithWhatIsCountedWhenTheModelRuns) {
    const auto folders = checkpoints();
    if (folders.empty()) GTEST_SKIP() << "no reference checkpoints; set VLM_GOLDEN_DIR";
    for (const auto& folder : folders) {
        std::shared_ptr<DryDevice> device;
        const auto dry = open_dry(manifest_of(folder), options(), device);
        const auto real = vlm::Pipeline::open(manifest_of(folder), options());
        for (const auto& [width, height] : {std::pair{97, 61}, std::pair{64, 150}}) {
            const auto name =
                folder.filename().string() + " at " + std::to_string(width) + "x" + std::to_string(height);
            const auto predicted = run_stages(*dry, width, height, 20), counted = run_stages(*real, width, height, 20);
            EXPECT_EQ(predicted.visual_tokens, counted.visual_tokens) << name;
            EXPECT_EQ(predicted.kv_bytes, counted.kv_bytes) << name;
            expect_within(predicted.encode.flops(), counted.encode.flops(), name + " encode");
            expect_within(predicted.connect.flops(), counted.connect.flops(), name + " connect");
            expect_within(predicted.prefill.flops(), counted.prefill.flops(), name + " prefill");
            expect_within(predicted.decode.flops(), counted.decode.flops(), name + " decode");
        }
    }
}

TEST(Estimate, ReadsEveryWeightOnceToDecodeAToken) {
    const auto folder = fs::path(VLM_GOLDEN_DIR) / "llava";
    if (!fs::exists(folder / "config.json")) GTEST_SKIP() << "no reference checkpoint 'llava'; set VLM_GOLDEN_DIR";
    std::shared_ptr<DryDevice> device;
    const auto dry = open_dry(manifest_of(folder), options(), device);
    const auto stages = run_stages(*dry, 97, 61, 20);
    // A dense decoder multiplies each weight with each token: 2 FLOPs and 4 bytes a weight.
    EXPECT_NEAR(stages.decode.linear_flops / 2 * 4, stages.decode.weight_bytes, 1);
    const auto text = text_work(*dry, 30);
    EXPECT_GT(text.prefill.linear_flops, 28 * stages.decode.linear_flops - 28 * 2.0 * 48 * 512 * 1.5);
    EXPECT_GT(text.scratch_bytes, 0);
}

TEST(Estimate, TimeIsBoundByArithmeticOrByMemory) {
    const Machine machine{"m", 1e12, 1e9, ""};
    EXPECT_DOUBLE_EQ(seconds({2e12, 0, 0, 1e8, 0}, machine), 2.0);
    EXPECT_DOUBLE_EQ(seconds({1e9, 0, 0, 2e9, 1e9}, machine), 3.0);
    EXPECT_EQ(machine_of("l4").name, "l4");
    EXPECT_THROW(machine_of("abacus"), vlm::Error);
    EXPECT_THROW(weight_element_bytes("int3"), vlm::Error);
}

TEST(Estimate, BlockedAttentionGrowsWithTheLengthAndNotWithItsSquare) {
    const auto small = attention_memory(512, 1), large = attention_memory(2048, 1);
    EXPECT_GE(large.standard_measured, large.standard_computed);
    EXPECT_LE(large.standard_measured, 1.2 * large.standard_computed);
    EXPECT_LE(large.blocked_measured, 4 * small.blocked_measured);
    EXPECT_NEAR(large.blocked_measured, large.blocked_computed, 0.3 * large.blocked_computed);
    EXPECT_NEAR(small.blocked_measured, small.blocked_computed, 0.3 * small.blocked_computed);
    EXPECT_THROW(attention_memory(0, 1), vlm::Error);
}

TEST(Plot, DrawsBarsInProportion) {
    const auto image = plot_bars("work", {"a", "b"}, {{"one", {1, 1}, "2"}, {"two", {2, 2}, "4"}});
    EXPECT_GT(image.width, 600);
    const auto coloured = [&](int y) {
        int count = 0;
        for (int x = 0; x < image.width; ++x) {
            const auto* p = image.pixels.data() + (static_cast<size_t>(y) * static_cast<size_t>(image.width) + x) * 3;
            const bool gray = p[0] == p[1] && p[1] == p[2];
            count += gray ? 0 : 1;
        }
        return count;
    };
    const int first = coloured(20 + 88 + 2), second = coloured(20 + 88 + 44 + 2);
    EXPECT_NEAR(second, 2 * first, 3);
}

}  // namespace
