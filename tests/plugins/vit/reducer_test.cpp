/** @file reducer_test.cpp
 *  A token reducer inside the tower: DyMU merges tokens of every layer, and the features, the rows and the map from
 * patches to rows are those of the reference. Encoder and reducer are two libraries that have never seen each other.
 */
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/compute/cpu/cpu_compute.hpp"
#include "host/image/decode.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/services/services.hpp"
#include "host/weights/safetensors.hpp"

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

json read_json(const fs::path& path) {
    std::ifstream file(path);
    return json::parse(file);
}

TEST(VitReducer, MergesInsideTheTowerAsTheReference) {
    const fs::path folder = fs::path(VLM_GOLDEN_DIR) / "dymu";
    if (!fs::exists(folder / "reducer.json")) GTEST_SKIP() << "no golden references at " << folder;
    vlm::CpuCompute compute;  // Outlives the components, whose packed weights it owns.
    const json model = read_json(folder / "config.json"), reducer = read_json(folder / "reducer.json");
    vlm::ComponentConfig config;
    json section = model.at("vision_config");
    section["vision_feature_layer"] = reducer.at("select_layer");
    section["vision_feature_select_strategy"] = "default";
    config.config = section.dump();
    config.preprocessor = read_json(folder / "preprocessor_config.json").dump();
    vlm::VisionEncoder encoder(vlm::Plugin::open(fs::path(VLM_PLUGIN_DIR) / "libvlm_vit.so"), config);
    vlm::ComponentConfig options;
    options.config = json{{"thresholds", reducer.at("thresholds")}}.dump();
    std::vector<std::unique_ptr<vlm::TokenReducer>> reducers;
    reducers.push_back(
        std::make_unique<vlm::TokenReducer>(vlm::Plugin::open(fs::path(VLM_PLUGIN_DIR) / "libvlm_dymu.so"), options));

    const vlm::Listeners silent;
    vlm::HookService hooks(reducers, vlm::Allocator::cpu());
    vlm::Run run(compute.table(), &silent, hooks.abi());
    hooks.bind(&run);
    vlm::WeightsService weights(vlm::WeightStore::open(folder),
                                {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower."},
                                folder.string());
    encoder.load(run, weights.abi());

    const auto expected = vlm::WeightStore::open(folder / "expected.safetensors");
    const json inputs = read_json(folder / "inputs.json");
    for (size_t c = 0; c < inputs.at("cases").size(); ++c) {
        const std::string key = "case" + std::to_string(c) + ".vision.";
        const vlm::Image image = vlm::decode_file(folder / inputs["cases"][c]["images"][0].get<std::string>());
        const std::vector<vlm::VisionEncoder::Plan> plans = {encoder.plan(image.width, image.height)};
        const std::vector<vlm::Tensor> pixels = {encoder.preprocess(run, image, "picture", plans[0])};
        const auto features = encoder.encode(run, pixels, plans, vlm::Allocator::cpu());
        const auto& want = expected->at(key + "features");
        ASSERT_EQ(features[0].rows.shape(), want.shape) << key;
        const auto* values = static_cast<const float*>(want.data);
        double worst = 0;
        for (size_t i = 0; i < features[0].rows.span<float>().size(); ++i)
            worst = std::max(worst, std::abs(static_cast<double>(features[0].rows.span<float>()[i]) - values[i]));
        EXPECT_LE(worst, 2e-4) << key;

        const auto& map = expected->at(key + "patch_to_row");
        const auto rows = features[0].map.row_of_position.span<int32_t>();
        ASSERT_EQ(static_cast<int64_t>(rows.size()), map.shape[0]);
        std::vector<float> sizes(static_cast<size_t>(want.shape[0]));
        for (size_t p = 0; p < rows.size(); ++p) {
            EXPECT_EQ(rows[p], static_cast<const int64_t*>(map.data)[p]) << "patch " << p;
            sizes[static_cast<size_t>(rows[p])] += 1.F;
        }
        for (size_t r = 0; r < sizes.size(); ++r)
            EXPECT_EQ(features[0].map.sizes.span<float>()[r], sizes[r]) << "row " << r;
    }
}

}  // namespace
