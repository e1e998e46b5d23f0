/** @file recipe_defaults_test.cpp
 *  Defaults that follow a value of config.json: hub files leave out what equals the default of a class, and which class
 *  it is stands elsewhere in the file.
 */
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/pipeline/recipe.hpp"

namespace {

nlohmann::json config_for(const std::string& model) {
    // Tests of one program run side by side in processes of their own.
    const auto path =
        std::filesystem::temp_directory_path() / ("vlm_recipe_defaults_test_" + std::to_string(getpid()) + ".json");
    std::ofstream(path) << R"({"model_type": "x", "transparency": "ignore", "stages": {"connector": {"plugin": "p",
        "config": "own", "take": {"size": "text.size"}, "defaults": {"size": 1, "depth": 2},
        "defaults_for": {"text.type": {"wide": {"size": 10}, "deep": {"depth": 20}}}}}})";
    const auto recipe = vlm::Recipe::from_file(path);
    std::filesystem::remove(path);
    EXPECT_EQ(recipe.color_mode, vlm::ColorMode::kOpaque);
    const auto document = vlm::json::Document::from_text(model, "config.json");
    return nlohmann::json::parse(vlm::stage_config(recipe.stages.at("connector"), document.root(), "{}"));
}

TEST(RecipeDefaults, FollowAValueOfTheModel) {
    EXPECT_EQ(config_for(R"({})"), (nlohmann::json{{"size", 1}, {"depth", 2}}));
    EXPECT_EQ(config_for(R"({"text": {"type": "wide"}})"), (nlohmann::json{{"size", 10}, {"depth", 2}}));
    EXPECT_EQ(config_for(R"({"text": {"type": "deep"}})"), (nlohmann::json{{"size", 1}, {"depth", 20}}));
    EXPECT_EQ(config_for(R"({"text": {"type": "other"}})"), (nlohmann::json{{"size", 1}, {"depth", 2}}));
    EXPECT_EQ(config_for(R"({"text": {"type": 3}})"), (nlohmann::json{{"size", 1}, {"depth", 2}}));
}

TEST(RecipeDefaults, YieldToTheFile) {
    EXPECT_EQ(config_for(R"({"text": {"type": "wide", "size": 7}, "own": {"depth": 5}})"),
              (nlohmann::json{{"size", 7}, {"depth", 5}}));
}

}  // namespace
