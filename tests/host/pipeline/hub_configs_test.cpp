/** @file hub_configs_test.cpp
 *  Configurations as hub repositories carry them: every key is understood, and what cannot be served is refused by
 * name.
 *
 *  No weights: a pipeline that only plans is made from configuration alone.
 */
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/pipeline/pipeline.hpp"

namespace {

namespace fs = std::filesystem;

nlohmann::json entries() {
    std::ifstream file(std::string(VLM_TEST_DATA) + "/hub_configs.json");
    auto all = nlohmann::json::parse(file);
    all.erase("comment");
    return all;
}

/** Visual tokens of a page, or why the configuration is refused. */
std::pair<int64_t, std::string> plan(const nlohmann::json& config, const nlohmann::json& preprocessor) {
    const fs::path folder = fs::temp_directory_path() / ("vlm_hub_configs_test_" + std::to_string(getpid()));
    fs::create_directories(folder);
    std::ofstream(folder / "config.json") << config;
    std::ofstream(folder / "preprocessor_config.json") << preprocessor;
    std::pair<int64_t, std::string> answer{0, "accepted"};
    try {
        vlm::OpenOptions options;
        options.load_weights = false;
        options.plugin_folders = {VLM_PLUGIN_DIR};
        const auto pipeline = vlm::Pipeline::open(vlm::Manifest::for_model(folder.string()), options);
        const auto features = pipeline->encoder().plan(1080, 1440);
        answer.first = pipeline->connector().plan(features.layout, 1080, 1440).rows;
    } catch (const vlm::Error& error) {
        answer.second = error.what();
    }
    fs::remove_all(folder);
    return answer;
}

TEST(HubConfigs, AreUnderstoodOrRefusedByName) {
    const auto all = entries();
    ASSERT_GE(all.size(), 30u);
    for (const auto& [name, entry] : all.items()) {
        const auto [tokens, refusal] = plan(entry["config"], entry["preprocessor"]);
        if (entry.contains("refused"))
            EXPECT_NE(refusal.find(entry["refused"].get<std::string>()), std::string::npos) << name << ": " << refusal;
        else
            EXPECT_EQ(tokens, entry["visual_tokens"].get<int64_t>()) << name << ": " << refusal;
    }
}

TEST(HubConfigs, AKeyThatNobodyKnowsIsRefusedInEverySection) {
    const auto all = entries();
    for (const char* name :
         {"llava-1.5-7b", "blip2-opt-2.7b", "idefics-9b", "qwen2-vl-2b", "kosmos-2", "fuyu-8b", "paligemma-3b-pt-224",
          "idefics2-8b", "smolvlm-256m", "vilt-vqa", "clip-vit-b32", "openvla-7b", "internvl3-1b-hf"}) {
        const auto& entry = all.at(name);
        for (const char* section : {"", "vision_config", "text_config", "perceiver_config", "qformer_config"}) {
            auto config = entry["config"];
            if (*section != '\0' && !config.contains(section)) continue;
            (*section == '\0' ? config : config[section])["use_a_new_trick"] = 3;
            const auto [tokens, refusal] = plan(config, entry["preprocessor"]);
            EXPECT_NE(refusal.find("use_a_new_trick"), std::string::npos) << name << " " << section << ": " << refusal;
        }
    }
}

}  // namespace
