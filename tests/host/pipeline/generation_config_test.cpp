/** @file generation_config_test.cpp
 *  Defaults are those of `GenerationConfig` of transformers 5.23 (`_get_default_generation_params`).
 */
#include "host/pipeline/generation_config.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "host/base/error.hpp"
#include "host/base/log.hpp"

namespace vlm {
namespace {

class GenerationFile : public testing::Test {
  protected:
    GenerationFile() {
        std::filesystem::create_directories(folder_);
        set_log_sink([this](int, std::string_view, std::string_view text) { log_ += text; });
    }
    ~GenerationFile() override {
        set_log_sink({});
        std::filesystem::remove_all(folder_);
    }
    GenerationOptions read(const std::string& text) {
        log_.clear();
        std::ofstream(folder_ / "generation_config.json") << text;
        return Manifest::for_model(folder_).generation;
    }
    std::string log_;
    // Tests of one program run side by side in processes of their own.
    const std::filesystem::path folder_ =
        std::filesystem::temp_directory_path() / ("vlm_generation_config_test_" + std::to_string(getpid()));
};

TEST_F(GenerationFile, IsFollowedWhereABareCheckpointIsOpened) {
    const auto qwen = read(R"({"bos_token_id": 151643, "do_sample": true, "eos_token_id": [151645, 151643],
        "repetition_penalty": 1.05, "temperature": 0.1, "top_k": 1, "top_p": 0.001})");
    EXPECT_EQ(qwen.temperature, 0.1);
    EXPECT_EQ(qwen.top_k, 1);
    EXPECT_EQ(qwen.top_p, 0.001);
    EXPECT_EQ(qwen.repetition_penalty, 1.05);
    EXPECT_EQ(qwen.max_new_tokens, GenerationOptions().max_new_tokens);
    EXPECT_EQ(log_, "");

    const auto bare = read(R"({"do_sample": true, "min_p": 0.2, "max_new_tokens": 7, "stop_strings": "END"})");
    EXPECT_EQ(bare.temperature, 1);
    EXPECT_EQ(bare.top_k, 50);
    EXPECT_EQ(bare.min_p, 0.2);
    EXPECT_EQ(bare.max_new_tokens, 7);
    EXPECT_EQ(bare.stop, std::vector<std::string>{"END"});
}

TEST_F(GenerationFile, SamplingSettingsDoNotCountWithoutDoSample) {
    const auto options = read(R"({"temperature": 0.7, "top_p": 0.9, "typical_p": 0.3, "repetition_penalty": 1.2})");
    EXPECT_EQ(options.temperature, 0);
    EXPECT_EQ(options.top_p, 1);
    EXPECT_EQ(options.repetition_penalty, 1.2);
    EXPECT_EQ(log_, "");
}

TEST_F(GenerationFile, NamesWhatIsNotCarriedOut) {
    read(R"({"num_beams": 5, "bad_words_ids": [[32000]], "no_repeat_ngram_size": 0, "guidance_scale": 1,
             "do_sample": true, "typical_p": 0.3})");
    EXPECT_NE(log_.find("num_beams 5"), std::string::npos) << log_;
    EXPECT_NE(log_.find("bad_words_ids [[32000]]"), std::string::npos) << log_;
    EXPECT_NE(log_.find("typical_p 0.3"), std::string::npos) << log_;
    EXPECT_EQ(log_.find("no_repeat_ngram_size"), std::string::npos) << log_;
    EXPECT_EQ(log_.find("guidance_scale"), std::string::npos) << log_;
}

TEST_F(GenerationFile, IsNoMatterOfAManifest) {
    read(R"({"do_sample": true, "repetition_penalty": 1.5})");
    const auto manifest = Manifest::from_text(R"({"model": "."})", "manifest", folder_);
    EXPECT_EQ(manifest.generation.temperature, 0);
    EXPECT_EQ(manifest.generation.repetition_penalty, 1);
}

TEST_F(GenerationFile, RefusesValuesOfTheWrongKind) {
    EXPECT_THROW(read(R"({"do_sample": "yes"})"), Error);
    EXPECT_THROW(read(R"({"repetition_penalty": 0})"), Error);
    EXPECT_THROW(read(R"([])"), Error);
    EXPECT_THROW(read(R"({)"), Error);
}

}  // namespace
}  // namespace vlm
