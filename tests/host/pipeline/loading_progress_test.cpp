/** @file loading_progress_test.cpp
 *  Progress of loading rises in bytes from 0 to all, whatever stages leave unread or read twice.
 */
#include "host/pipeline/loading_progress.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "host/bench/random_checkpoint.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;

Recipe recipe_of(const std::map<std::string, std::vector<std::string>>& prefixes) {
    Recipe recipe;
    for (const auto& [stage, list] : prefixes) recipe.stages[stage].weight_prefixes = list;
    return recipe;
}

TEST(StageOf, TheLongestPrefixDecides) {
    const Recipe recipe = recipe_of({{"vision_encoder", {"model.vision_tower.", "vision_tower."}},
                                     {"connector", {"model.projector."}},
                                     {"backbone", {"model.", ""}}});
    EXPECT_EQ(stage_of(recipe, "model.vision_tower.layers.0.weight"), "vision_encoder");
    EXPECT_EQ(stage_of(recipe, "vision_tower.layers.0.weight"), "vision_encoder");
    EXPECT_EQ(stage_of(recipe, "model.projector.weight"), "connector");
    EXPECT_EQ(stage_of(recipe, "model.layers.0.weight"), "backbone");
    EXPECT_EQ(stage_of(recipe, "lm_head.weight"), "backbone");
    const Recipe shared = recipe_of({{"vision_encoder", {"model."}}, {"connector", {"model."}}});
    EXPECT_EQ(stage_of(shared, "model.embed"), "backbone");
}

class Loading : public testing::Test {
  protected:
    void SetUp() override {
        if (!fs::exists(fs::path(VLM_PLUGIN_DIR) / "libvlm_decoder.so"))
            GTEST_SKIP() << "no plugins in " << VLM_PLUGIN_DIR;
        folder_ = fs::path(testing::TempDir()) / ("vlm_loading_" + std::to_string(getpid()));
        model_ = bench::ensure_checkpoint(bench::model_shape("tiny"), folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    std::unique_ptr<Pipeline> open(bool encoder_only = false) {
        reports_.clear();
        Manifest manifest = Manifest::for_model(model_);
        manifest.packed_cache = "off";
        OpenOptions options;
        options.plugin_folders.emplace_back(VLM_PLUGIN_DIR);
        options.encoder_only = encoder_only;
        options.listeners.progress = [this](uint64_t done, uint64_t total) { reports_.emplace_back(done, total); };
        return Pipeline::open(std::move(manifest), options);
    }
    void expect_rising(uint64_t total) const {
        ASSERT_GE(reports_.size(), 2u);
        EXPECT_EQ(reports_.front().first, 0u);
        EXPECT_EQ(reports_.back().first, total);
        for (size_t i = 0; i < reports_.size(); ++i) {
            EXPECT_EQ(reports_[i].second, total);
            if (i > 0) {
                EXPECT_GT(reports_[i].first, reports_[i - 1].first);
            }
        }
    }

    fs::path folder_, model_;
    std::vector<std::pair<uint64_t, uint64_t>> reports_;
};

TEST_F(Loading, EveryLayerIsReported) {
    const auto pipeline = open();
    expect_rising(pipeline->checkpoint().weights()->total_bytes());
    // Four products in each of the four layers at least; stages alone would be three.
    EXPECT_GT(reports_.size(), 16u);
}

TEST_F(Loading, TheEncoderAloneCountsItsOwn) {
    const auto store = open()->checkpoint().weights();
    uint64_t tower = 0;
    for (const auto& tensor : store->tensors())
        if (tensor.name.find("vision_tower") != std::string::npos) tower += tensor.nbytes;
    ASSERT_GT(tower, 0u);
    ASSERT_LT(tower, store->total_bytes());
    open(true);
    expect_rising(tower);
}

TEST_F(Loading, WhatIsReadTwiceOrNotAtAllCountsOnce) {
    const auto store = WeightStore::open(model_);
    const Recipe recipe =
        recipe_of({{"vision_encoder", {"model.vision_tower."}}, {"connector", {"model.multi_modal"}}});
    const auto note = [this](uint64_t done, uint64_t total) { reports_.emplace_back(done, total); };
    LoadingProgress progress(recipe, *store, false, note);
    const uint64_t all = store->total_bytes();
    progress.begin("vision_encoder");
    progress.add(all);
    progress.add(all);
    const uint64_t tower = reports_.back().first;
    EXPECT_LT(tower, all);
    progress.end();
    EXPECT_EQ(reports_.back().first, tower);
    progress.begin("backbone");
    progress.end();
    EXPECT_LE(reports_.back().first, all);
    progress.begin("");
    progress.add(all);
    progress.end();
    progress.finish();
    progress.finish();
    expect_rising(all);
    LoadingProgress unheard(recipe, *store, false, {});
    unheard.begin("backbone");
    unheard.add(5);
    unheard.finish();
}

}  // namespace
}  // namespace vlm
