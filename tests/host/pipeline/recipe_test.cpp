/** @file recipe_test.cpp
 *  Recipes: the order in which configurations are laid over each other, and mistakes in files of vendors.
 */
#include "host/pipeline/recipe.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"

namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

class RecipeFile : public testing::Test {
  protected:
    RecipeFile() : folder_(fs::temp_directory_path() / ("vlm_recipe_" + std::to_string(getpid()))) {
        fs::create_directories(folder_);
    }
    ~RecipeFile() override { fs::remove_all(folder_); }
    fs::path write(const std::string& name, const std::string& text) {
        std::ofstream(folder_ / name) << text;
        return folder_ / name;
    }
    std::string refusal(const std::string& text) {
        try {
            vlm::Recipe::from_file(write("r.json", text));
        } catch (const vlm::Error& error) {
            return error.what();
        }
        ADD_FAILURE() << "accepted: " << text;
        return {};
    }
    fs::path folder_;
};

const char* const kWhole = R"({
  "model_type": ["one", "two"], "covers": ["image_token_index"], "post_processors": ["a.b.c"],
  "stages": {
    "vision_encoder": {"plugin": "v.v.v", "config": "vision_config", "take": {"layer": ["a.layer", "feature_layer"]},
                       "defaults": {"layer": -2, "depth": 1}, "options": {"fixed": true}, "weights": ["w.", ""]},
    "connector": {"plugin": "c.c.c", "config": "projector"},
    "backbone": {"plugin": "b.b.b", "config": "text_config"}},
  "prompt": {"marker": "<image>", "place": "after_bos", "tile": ["<t{row},{column}>", "@tile"]}})";

TEST_F(RecipeFile, IsRead) {
    const auto recipe = vlm::Recipe::from_file(write("family.json", kWhole));
    EXPECT_EQ(recipe.name, "family");
    EXPECT_EQ(recipe.model_types, (std::vector<std::string>{"one", "two"}));
    EXPECT_EQ(recipe.stages.at("vision_encoder").weight_prefixes, (std::vector<std::string>{"w.", ""}));
    EXPECT_EQ(recipe.stages.at("connector").weight_prefixes, std::vector<std::string>{""});
    EXPECT_EQ(recipe.prompt.markers, std::vector<std::string>{"<image>"});
    EXPECT_EQ(recipe.prompt.place, vlm::PromptRecipe::Place::after_bos);
    EXPECT_EQ(recipe.prompt.tile.size(), 2u);
    EXPECT_TRUE(recipe.prompt.add_special_tokens);
}

TEST_F(RecipeFile, NamesMistakes) {
    EXPECT_THAT(refusal(R"({"model_types": "x", "stages": {}})"), HasSubstr("\"model_type\""));
    EXPECT_THAT(refusal(R"({"stages": {}})"), HasSubstr("model_type"));
    EXPECT_THAT(refusal("{\"model_type\": \"x\",\n\"stages\": {\"encoder\": {}}}"),
                AllOf(HasSubstr("r.json:2"), HasSubstr("encoder")));
    EXPECT_THAT(refusal(R"({"model_type": "x", "stages": {"connector": {}}})"), HasSubstr("plugin"));
    EXPECT_THAT(refusal(R"({"model_type": "x", "stages": {"connector": {"plugin": "a", "wieghts": []}}})"),
                HasSubstr("\"weights\""));
    EXPECT_THAT(refusal(R"({"model_type": "x", "stages": {}, "prompt": {"place": "behind"}})"), HasSubstr("behind"));
    EXPECT_THAT(refusal(R"({"model_type": "x", "stages": {}, "prompt": {"marker": 3}})"), HasSubstr("marker"));
}

TEST_F(RecipeFile, IsFoundByModelType) {
    write("b.json", R"({"model_type": ["two", "three"], "stages": {}})");
    write("a.json", R"({"model_type": "two", "stages": {}})");
    write("notes.txt", "not a recipe");
    EXPECT_EQ(vlm::find_recipe({"/no/such", folder_}, "two", "config.json").name, "a");
    EXPECT_EQ(vlm::find_recipe({folder_}, "three", "config.json").name, "b");
    try {
        vlm::find_recipe({folder_}, "four", "x/config.json");
        ADD_FAILURE();
    } catch (const vlm::Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_NOT_FOUND);
        EXPECT_THAT(error.what(), AllOf(HasSubstr("x/config.json"), HasSubstr("'four'"), HasSubstr("three, two")));
    }
    EXPECT_THROW(vlm::find_recipe({}, "two", "config.json"), vlm::Error);
}

TEST_F(RecipeFile, LaysConfigurationsOverEachOther) {
    const auto recipe = vlm::Recipe::from_file(write("family.json", kWhole));
    const auto config_of = [&](const std::string& model, const std::string& options) {
        const auto document = vlm::json::Document::from_text(model, "config.json");
        return json::parse(vlm::stage_config(recipe.stages.at("vision_encoder"), document.root(), options));
    };
    // defaults < section < take < recipe options < manifest options; null counts as absent.
    EXPECT_EQ(config_of(R"({})", "{}"), json::parse(R"({"layer": -2, "depth": 1, "fixed": true})"));
    EXPECT_EQ(config_of(R"({"vision_config": {"depth": 5, "layer": null, "fixed": false}})", "{}"),
              json::parse(R"({"layer": -2, "depth": 5, "fixed": true})"));
    EXPECT_EQ(config_of(R"({"vision_config": {"layer": 1}, "feature_layer": 7})", "{}")["layer"], 7);
    EXPECT_EQ(config_of(R"({"feature_layer": 7, "a": {"layer": 8}})", "{}")["layer"], 8);
    EXPECT_EQ(config_of(R"({"feature_layer": 7})", R"({"layer": 9, "fixed": null, "new": [1]})"),
              json::parse(R"({"layer": 9, "depth": 1, "fixed": true, "new": [1]})"));
    EXPECT_THROW(config_of(R"({"vision_config": [1]})", "{}"), vlm::Error);
}

TEST_F(RecipeFile, HandsOnANullThatNoDefaultAnswers) {
    // `"sliding_window": null` says "none", where an absent key would mean the default of the class.
    const auto stage = vlm::Recipe::from_file(write("family.json", kWhole)).stages.at("vision_encoder");
    const auto model =
        vlm::json::Document::from_text(R"({"vision_config": {"window": null, "depth": null}})", "config");
    EXPECT_EQ(json::parse(vlm::stage_config(stage, model.root(), "{}")),
              json::parse(R"({"layer": -2, "depth": 1, "window": null, "fixed": true})"));
}

TEST_F(RecipeFile, KnowsWhatConfigJsonCallsAKeyThatIsRefused) {
    vlm::StageRecipe stage;
    stage.take = {{"act", {"absent", "projector_hidden_act"}}, {"layer", {"layer"}}};
    const auto model = vlm::json::Document::from_text(R"({"projector_hidden_act": "mish", "layer": 1})", "config");
    EXPECT_EQ(vlm::taken_from(stage, model.root(), "config: act: 'mish' is unknown"), "projector_hidden_act");
    EXPECT_EQ(vlm::taken_from(stage, model.root(), "config: layer: too large"), "");
    EXPECT_EQ(vlm::taken_from(stage, model.root(), "config: actor: unknown"), "");
}

TEST_F(RecipeFile, RefusesKeysThatNobodyAnswersFor) {
    const auto recipe = vlm::Recipe::from_file(write("family.json", kWhole));
    const auto check = [&](const std::string& model) {
        vlm::check_covered(recipe, vlm::json::Document::from_text(model, "config.json").root());
    };
    check(R"({"model_type": "one", "vision_config": {}, "feature_layer": 1, "image_token_index": 3, "text_config": {},
              "transformers_version": "5", "_pad_token_id": 128002, "unknown_but_null": null})");
    try {
        check("{\"model_type\": \"one\",\n\"vision_feature_norm\": true}");
        ADD_FAILURE() << "an option that changes the answers was ignored";
    } catch (const vlm::Error& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr("config.json:2"), HasSubstr("'vision_feature_norm'")));
    }
}

TEST(ShippedRecipes, AreAllReadableAndServeEachTypeOnce) {
    std::map<std::string, std::string> served;
    for (const auto& entry : fs::directory_iterator(fs::path(VLM_SOURCE_DIR) / "plugins" / "recipes")) {
        if (entry.path().extension() != ".json") continue;
        const auto recipe = vlm::Recipe::from_file(entry.path());
        for (const auto& type : recipe.model_types)
            EXPECT_TRUE(served.emplace(type, recipe.name).second) << type << " in " << recipe.name;
    }
    EXPECT_TRUE(served.contains("llava"));
}

}  // namespace
