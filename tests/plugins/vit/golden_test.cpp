/** @file golden_test.cpp
 *  The plugin as the host loads it, against reference tensors: pixels, hidden states and features of tiny checkpoints
 * of every tower that presets.cpp knows.
 */
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "host/compute/cpu/cpu_compute.hpp"
#include "host/image/decode.hpp"
#include "host/pipeline/stages.hpp"
#include "host/services/services.hpp"
#include "host/weights/safetensors.hpp"

namespace {

using nlohmann::json;
namespace fs = std::filesystem;

/** Pixels are exact up to float rounding; hidden states stand ten times the float32 noise of the references. */
constexpr double kPixels = 1e-5;
constexpr double kHidden = 2e-4;

struct Model {
    const char* folder;
    std::vector<std::string> prefixes;
    json options = json::object();  ///< What the family's recipe adds to the section.
};

void PrintTo(const Model& model, std::ostream* out) {
    *out << model.folder;
}

json read_json(const fs::path& path) {
    std::ifstream file(path);
    return json::parse(file);
}

std::vector<float> floats(const vlm::WeightStore& store, const std::string& name) {
    const auto& tensor = store.at(name);
    std::vector<float> out(static_cast<size_t>(vlm::element_count(tensor.shape)));
    std::memcpy(out.data(), tensor.data, out.size() * sizeof(float));
    return out;
}

double worst(std::span<const float> a, std::span<const float> b) {
    if (a.size() != b.size()) return INFINITY;
    double w = 0;
    for (size_t i = 0; i < a.size(); ++i) w = std::max(w, std::abs(static_cast<double>(a[i]) - b[i]));
    return w;
}

class VitGolden : public testing::TestWithParam<Model> {
  protected:
    void SetUp() override {
        folder_ = fs::path(VLM_GOLDEN_DIR) / GetParam().folder;
        if (!fs::exists(folder_ / "config.json")) GTEST_SKIP() << "no golden references at " << folder_;
        const json model = read_json(folder_ / "config.json");
        json section = model.value("vision_config", json::object());
        section.update(GetParam().options);
        for (const char* key : {"vision_feature_layer", "vision_feature_select_strategy"})
            if (model.contains(key)) section[key] = model[key];
        vlm::ComponentConfig config;
        config.config = section.dump();
        config.model = model.dump();
        config.preprocessor = read_json(folder_ / "preprocessor_config.json").dump();
        auto plugin = vlm::Plugin::open(fs::path(VLM_PLUGIN_DIR) / "libvlm_vit.so");
        encoder_ = std::make_unique<vlm::VisionEncoder>(plugin, config);
        expected_ = vlm::WeightStore::open(folder_ / "expected.safetensors");
        weights_ = std::make_unique<vlm::WeightsService>(vlm::WeightStore::open(folder_), GetParam().prefixes,
                                                         folder_.string());
        listeners_.tap = [this](const std::string& name, const vlm_tensor& tensor) {
            ASSERT_EQ(tensor.view.device.device_type, VLM_DEVICE_CPU);
            if (tensor.view.dtype.code != VLM_TYPE_FLOAT) return;
            const auto* data =
                reinterpret_cast<const float*>(static_cast<const char*>(tensor.view.data) + tensor.view.byte_offset);
            int64_t count = 1;
            for (int32_t d = 0; d < tensor.view.ndim; ++d) count *= tensor.view.shape[d];
            taps_[name].insert(taps_[name].end(), data, data + count);
        };
        run_ = std::make_unique<vlm::Run>(compute_.table(), &listeners_);
        encoder_->load(*run_, weights_->abi());
    }

    vlm::Tensor pixels(const std::string& picture, vlm::VisionEncoder::Plan& plan) {
        const vlm::Image image = vlm::decode_file(folder_ / picture);
        plan = encoder_->plan(image.width, image.height);
        return encoder_->preprocess(*run_, image, picture, plan);
    }

    fs::path folder_;
    vlm::CpuCompute compute_;
    vlm::Listeners listeners_;
    std::map<std::string, std::vector<float>> taps_;
    std::unique_ptr<vlm::VisionEncoder> encoder_;
    std::shared_ptr<const vlm::WeightStore> expected_;
    std::unique_ptr<vlm::WeightsService> weights_;
    std::unique_ptr<vlm::Run> run_;
};

TEST_P(VitGolden, PixelsOfEveryPicture) {
    int compared = 0;
    for (const char* name : {"photo", "alpha", "gray", "large"}) {
        const std::string key = std::string("pre.") + name + ".pixel_values";
        if (!expected_->contains(key)) continue;
        vlm::VisionEncoder::Plan plan;
        const auto made = pixels(std::string(name) + ".png", plan);
        EXPECT_LE(worst(made.span<const float>(), floats(*expected_, key)), kPixels) << key;
        ++compared;
    }
    EXPECT_GT(compared, 0);
}

TEST_P(VitGolden, HiddenStatesOfEveryCase) {
    const json inputs = read_json(folder_ / "inputs.json");
    const json& cases = inputs.is_array() ? inputs : inputs.at("cases");
    int compared = 0;
    for (size_t c = 0; c < cases.size(); ++c) {
        std::vector<vlm::Tensor> all;
        std::vector<vlm::VisionEncoder::Plan> plans;
        for (const auto& picture : cases[c].at("images"))
            plans.emplace_back(), all.push_back(pixels(picture.get<std::string>(), plans.back()));
        if (all.empty()) continue;
        taps_.clear();
        const auto features = encoder_->encode(*run_, all, plans, vlm::Allocator::cpu());
        ASSERT_EQ(features.size(), all.size());
        for (const auto& [name, values] : taps_) {
            const std::string key = "case" + std::to_string(c) + "." + name;
            if (!expected_->contains(key)) continue;
            const auto want = floats(*expected_, key);
            if (std::string(GetParam().folder) == "idefics2" && want.size() != values.size())
                continue;  // Padded for batching.
            EXPECT_LE(worst(values, want), kHidden)
                << key << ": " << values.size() << " and " << want.size() << " elements";
            ++compared;
        }
    }
    EXPECT_GT(compared, 0);
}

const json kLlava = {{"vision_feature_layer", -2}, {"vision_feature_select_strategy", "default"}};

INSTANTIATE_TEST_SUITE_P(
    Models, VitGolden,
    testing::Values(
        Model{"clip", {"vision_model."}},
        Model{"llava", {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower."}, kLlava},
        Model{"llava_qwen2", {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower."}, kLlava},
        Model{"llava_mistral", {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower."}, kLlava},
        Model{"llava_next", {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower."}, kLlava},
        Model{"paligemma", {"vision_tower.vision_model.", "vision_tower.", "model.vision_tower."}},
        Model{"qwen2_vl", {"visual.", "model.visual."}}, Model{"qwen2_5_vl", {"visual.", "model.visual."}},
        Model{"internvl", {"vision_tower.", "model.vision_tower."}, {{"vision_feature_select_strategy", "default"}}},
        Model{"blip2", {"vision_model."}}, Model{"instructblip", {"vision_model."}},
        Model{"idefics", {"model.vision_model."}}, Model{"idefics2", {"model.vision_model."}},
        Model{"idefics3", {"model.vision_model."}}, Model{"kosmos2", {"vision_model.model."}},
        Model{"hybrid_early_fusion", {"vision_encoder.vision_model."}, kLlava}),
    [](const auto& info) { return std::string(info.param.folder); });

}  // namespace
