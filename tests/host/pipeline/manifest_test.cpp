/** @file manifest_test.cpp
 *  Manifests as people write them: what is right is read, and every mistake is named with key, nearest key and line.
 */
#include "host/pipeline/manifest.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"

namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using vlm::Manifest;

Manifest read(const std::string& text) {
    return Manifest::from_text(text, "m.json", "/base");
}

std::string refusal(const std::string& text) {
    try {
        read(text);
    } catch (const vlm::Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT) << error.what();
        return error.what();
    }
    ADD_FAILURE() << "accepted: " << text;
    return {};
}

TEST(Manifest, DefaultsAreTheDocumentedOnes) {
    const Manifest m = read(R"({"model": "llava"})");
    EXPECT_EQ(m.model, "/base/llava");
    EXPECT_EQ(m.device, "cpu");
    EXPECT_EQ(m.dtype, "auto");
    EXPECT_EQ(m.weights, "auto");
    EXPECT_EQ(m.batch, 8);
    EXPECT_EQ(m.threads, 0);
    EXPECT_TRUE(m.use_template);
    EXPECT_FALSE(m.image.split_rows);
    EXPECT_EQ(m.image.max_pixels, 64'000'000);
    EXPECT_EQ(m.generation.max_new_tokens, 256);
    EXPECT_EQ(m.generation.temperature, 0);
    EXPECT_EQ(m.generation.top_p, 1);
    EXPECT_FALSE(m.vision_encoder.given);
    EXPECT_TRUE(m.token_reducers.empty());
}

TEST(Manifest, StagesMayHaveADeviceOfTheirOwn) {
    const Manifest m = read(R"({"model": "m", "device": "cuda", "pipeline": {
        "vision_encoder": {"device": "cuda:1"}, "connector": {"device": "cpu", "plugin": "org.example.c"}, "backbone": {}}})");
    EXPECT_EQ(m.device, "cuda");
    EXPECT_EQ(m.vision_encoder.device, "cuda:1");
    EXPECT_EQ(m.connector.device, "cpu");
    EXPECT_EQ(m.backbone.device, "");
    EXPECT_THAT(refusal(R"({"model": "m", "pipeline": {"vision_encoder": {"device": 1}}})"), HasSubstr("device"));
    for (const char* list : {"token_reducers", "post_processors"})
        EXPECT_THAT(refusal(std::string(R"({"model": "m",
            "pipeline": {")") +
                            list + R"(": [{"plugin": "org.example.r", "device": "cpu"}]}})"),
                    AllOf(HasSubstr("m.json:2:"), HasSubstr("reducers work where the tokens are")));
}

TEST(Manifest, ReadsEveryKey) {
    const Manifest m = read(R"({
        "comment": "all", "model": "/abs/model", "recipe": "llava", "device": "cuda:1", "dtype": "bf16",
        "weights": "int8", "kv": "f16", "threads": 3, "plugins": ["p", "/q"], "prompt": "Read.",
        "use_template": false,
        "max_context": 4096, "batch": 2,
        "image": {"split": "rows", "rows": {"max_side": 2000, "margin": 0.5}, "mark_positions": true, "max_pixels": 100},
        "generation": {"max_new_tokens": 7, "temperature": 0.5, "top_k": 5, "top_p": 0.9, "min_p": 0.1,
                       "repetition_penalty": 1.1, "seed": 18446744073709551615, "stop": ["###"], "ignore_eos": true},
        "pipeline": {"vision_encoder": {"plugin": "a.b.c", "options": {"x": 1}}, "connector": {"options": {"y": 2}},
                     "backbone": {}, "token_reducers": [{"plugin": "r.r.r"}], "post_processors": [{"plugin": "p.p.p"}]}})");
    EXPECT_EQ(m.model, "/abs/model");
    EXPECT_EQ(m.recipe, "llava");
    EXPECT_EQ(m.device, "cuda:1");
    EXPECT_EQ(m.kv, "f16");
    EXPECT_EQ(m.plugins, (std::vector<fs::path>{"/base/p", "/q"}));
    EXPECT_TRUE(m.image.split_rows && m.image.mark_positions);
    EXPECT_EQ(m.image.rows.max_side, 2000);
    EXPECT_EQ(m.image.max_pixels, 100);
    EXPECT_EQ(m.generation.seed, 18446744073709551615ull);
    EXPECT_EQ(m.generation.stop, std::vector<std::string>{"###"});
    EXPECT_TRUE(m.generation.ignore_eos);
    EXPECT_EQ(m.vision_encoder.plugin, "a.b.c");
    EXPECT_EQ(m.connector.plugin, "");
    EXPECT_TRUE(m.connector.given && m.backbone.given);
    ASSERT_EQ(m.token_reducers.size(), 1u);
    EXPECT_EQ(m.post_processors.at(0).plugin, "p.p.p");
}

TEST(Manifest, NamesAnUnknownKeyItsNearestAndTheLine) {
    EXPECT_THAT(refusal("{\n  \"model\": \"x\",\n  \"devise\": \"cpu\"\n}"),
                AllOf(HasSubstr("m.json:3:"), HasSubstr("devise"), HasSubstr("\"device\"")));
    EXPECT_THAT(refusal("{\"model\": \"x\",\n\"generation\": {\n\"temprature\": 1}}"),
                AllOf(HasSubstr("m.json:3:"), HasSubstr("temprature"), HasSubstr("\"temperature\"")));
    EXPECT_THAT(refusal("{\"model\": \"x\",\n\"pipeline\": {\"conector\": {}}}"),
                AllOf(HasSubstr("m.json:2:"), HasSubstr("\"connector\"")));
    EXPECT_THAT(refusal(R"({"model": "x", "image": {"rows": {"max_sied": 1}}})"), HasSubstr("\"max_side\""));
    EXPECT_THAT(refusal(R"({"model": "x", "pipeline": {"backbone": {"plugn": "a"}}})"), HasSubstr("\"plugin\""));
}

TEST(Manifest, NamesMissingAndDuplicateKeys) {
    EXPECT_THAT(refusal("{}"), HasSubstr("\"model\""));
    EXPECT_THAT(refusal("{\"model\": \"x\",\n\"batch\": 1,\n\"batch\": 2}"),
                AllOf(HasSubstr("batch"), HasSubstr("m.json:3")));
    EXPECT_THAT(refusal(R"({"model": "x", "pipeline": {"token_reducers": [{"options": {}}]}})"),
                HasSubstr("\"plugin\""));
}

TEST(Manifest, RefusesWrongTypesAndRanges) {
    for (const char* member : {R"("model": 3)",
                               R"("threads": -1)",
                               R"("threads": 1.5)",
                               R"("batch": 0)",
                               R"("dtype": "f64")",
                               R"("weights": "int2")",
                               R"("kv": "int4")",
                               R"("prompt": [])",
                               R"("plugins": "folder")",
                               R"("plugins": [1])",
                               R"("use_template": "yes")",
                               R"("max_context": 0)",
                               R"("image": [])",
                               R"("image": {"split": "columns"})",
                               R"("image": {"max_pixels": 0})",
                               R"("image": {"rows": {"margin": -1}})",
                               R"("generation": {"top_p": 1.5})",
                               R"("generation": {"temperature": -1})",
                               R"("generation": {"max_new_tokens": -1})",
                               R"("generation": {"seed": -1})",
                               R"("generation": {"stop": "x"})",
                               R"("generation": {"repetition_penalty": 0})",
                               R"("pipeline": [])",
                               R"("pipeline": {"backbone": "decoder"})",
                               R"("pipeline": {"backbone": {"options": []}})",
                               R"("pipeline": {"token_reducers": {}})"}) {
        const bool is_model = std::string(member).find("\"model\"") == 0;
        EXPECT_THAT(refusal(std::string("{") + (is_model ? "" : R"("model": "x", )") + member + "}"),
                    HasSubstr("m.json:1"))
            << member;
    }
}

TEST(Manifest, GrammarsAreTextOrAFile) {
    const auto options = read(R"({"model": "m", "generation": {"grammar": "root ::= \"yes\" | \"no\""}})").generation;
    ASSERT_TRUE(options.grammar);
    EXPECT_EQ(options.grammar->rules().front().size(), 2u);
    EXPECT_FALSE(read(R"({"model": "m"})").generation.grammar);
    EXPECT_THAT(refusal(R"({"model": "m", "generation": {"grammar": "root ::= ("}})"),
                HasSubstr("generation.grammar, line 1"));
    EXPECT_THROW(read(R"({"model": "m", "generation": {"grammar": {"path": "none.gbnf"}}})"), vlm::Error);
}

TEST(Manifest, SecondReadingsAreOfRows) {
    const auto image =
        read(R"({"model": "m", "image": {"split": "rows", "reread": {"below": 0.9, "margins": [0.06, 0.3]}}})").image;
    EXPECT_EQ(image.reread.below, 0.9);
    EXPECT_EQ(image.reread.margins, (std::vector{0.06, 0.3}));
    EXPECT_THAT(refusal(R"({"model": "m", "image": {"reread": {"below": 0.9, "margins": [0.1]}}})"), HasSubstr("rows"));
    EXPECT_THAT(refusal(R"({"model": "m", "image": {"split": "rows", "reread": {"below": 0.9, "margins": []}}})"),
                HasSubstr("margins"));
    EXPECT_THAT(refusal(R"({"model": "m", "image": {"split": "rows", "reread": {"below": 2, "margins": [0.1]}}})"),
                HasSubstr("below"));
}

TEST(Manifest, RefusesWhatIsNoJsonObject) {
    for (const char* text : {"", "[]", "3", "{", "{\"model\": \"x\"} extra", "{\"model\": \"x\",}", "{model: 1}"})
        EXPECT_NE(refusal(text), "") << text;
    EXPECT_NE(refusal(std::string(100'000, '[')), "");
}

/** A folder that goes away. */
class ManifestFile : public testing::Test {
  protected:
    ManifestFile() : folder_(fs::temp_directory_path() / ("vlm_manifest_" + std::to_string(getpid()))) {
        fs::create_directories(folder_);
    }
    ~ManifestFile() override { fs::remove_all(folder_); }
    void write(const std::string& name, const std::string& text) { std::ofstream(folder_ / name) << text; }
    fs::path folder_;
};

TEST_F(ManifestFile, PathsAreRelativeToTheFile) {
    write("m.json", R"({"model": "../models/x", "pipeline": {"post_processors": [{"plugin": "p.p.p", "options":
        {"table": {"path": "drugs.csv"}, "deep": [{"inner": {"path": "a/../b"}}], "two": {"path": "x", "more": 1},
         "thresholds": {"file": "t.json"}}}]}})");
    write("t.json", R"([0.5, 0.25])");
    const Manifest m = Manifest::from_file(folder_ / "m.json");
    EXPECT_EQ(m.file, folder_ / "m.json");
    EXPECT_EQ(m.model, (folder_.parent_path() / "models/x"));
    const auto options = nlohmann::json::parse(m.post_processors.at(0).options);
    EXPECT_EQ(options["table"], (folder_ / "drugs.csv").string());
    EXPECT_EQ(options["deep"][0]["inner"], (folder_ / "b").string());
    EXPECT_EQ(options["two"]["path"], "x");  // an option that merely has a member of that name
    EXPECT_EQ(options["thresholds"], nlohmann::json::parse("[0.5, 0.25]"));
}

TEST_F(ManifestFile, NamesFilesThatAreNotThere) {
    EXPECT_THROW(Manifest::from_file(folder_ / "none.json"), vlm::Error);
    EXPECT_THROW(Manifest::from_file(folder_), vlm::Error);
    write("m.json", R"({"model": "x", "pipeline": {"backbone": {"options": {"t": {"file": "none.json"}}}}})");
    try {
        Manifest::from_file(folder_ / "m.json");
        ADD_FAILURE();
    } catch (const vlm::Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_NOT_FOUND);
        EXPECT_THAT(error.what(), HasSubstr((folder_ / "none.json").string()));
    }
}

}  // namespace
