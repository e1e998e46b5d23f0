/** @file tokenizer_config_test.cpp
 *  What the files beside tokenizer.json add.
 */
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "host/base/error.hpp"
#include "host/tokenizer/tokenizer.hpp"

namespace {

namespace fs = std::filesystem;

class CheckpointFolder : public testing::Test {
  protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("vlm_tokenizer_config_" + std::to_string(::getpid()));
        fs::create_directories(folder_);
        write("tokenizer.json", R"({"added_tokens": [{"id": 0, "content": "<unk>", "special": true}],
            "model": {"type": "WordLevel", "unk_token": "<unk>", "vocab": {"<unk>": 0, "<s>": 1, "hi": 2}},
            "pre_tokenizer": {"type": "Whitespace"}})");
    }
    void TearDown() override { fs::remove_all(folder_); }
    void write(const char* name, const std::string& text) { std::ofstream(folder_ / name) << text; }
    vlm::Tokenizer load() const { return vlm::Tokenizer::from_directory(folder_); }

    fs::path folder_;
};

TEST_F(CheckpointFolder, WithoutCompanionsHasNoRoles) {
    const vlm::Tokenizer tokenizer = load();
    EXPECT_EQ(tokenizer.special_token("bos_token"), std::nullopt);
    EXPECT_EQ(tokenizer.special_id("bos_token"), std::nullopt);
    EXPECT_EQ(tokenizer.encode("<s>hi", false), (std::vector<std::int32_t>{0, 0, 0, 2})) << "<s> is only a word here";
    EXPECT_FALSE(tokenizer.is_special(1));
}

TEST_F(CheckpointFolder, RolesMakeTokensSpecialAndAddMissingOnes) {
    write("tokenizer_config.json",
          R"({"bos_token": "<s>", "eos_token": {"content": "</s>", "lstrip": false}, "pad_token": null,
        "additional_special_tokens": ["<extra>"], "extra_special_tokens": {"image_token": "<image>"},
        "added_tokens_decoder": {"9": {"content": "late", "special": false, "normalized": false},
                                 "3": {"content": "early", "special": true}}})");
    write("special_tokens_map.json", R"({"bos_token": "<other>", "unk_token": "<unk>"})");
    const vlm::Tokenizer tokenizer = load();
    EXPECT_EQ(tokenizer.special_token("bos_token"), "<s>");
    EXPECT_EQ(tokenizer.special_id("bos_token"), 1);
    EXPECT_EQ(tokenizer.special_token("image_token"), "<image>");
    EXPECT_EQ(tokenizer.special_id("unk_token"), 0);
    EXPECT_EQ(tokenizer.special_token("pad_token"), std::nullopt);
    EXPECT_EQ(tokenizer.id_of("early"), 3);
    EXPECT_EQ(tokenizer.id_of("late"), 4) << "numbered on in the order of the ids";
    EXPECT_TRUE(tokenizer.is_special(1));
    EXPECT_FALSE(tokenizer.is_special(4));
    EXPECT_EQ(tokenizer.encode("<s>hi</s>", false),
              (std::vector<std::int32_t>{1, 2, tokenizer.special_id("eos_token").value()}));
}

TEST_F(CheckpointFolder, ReadsAddedTokensJson) {
    write("added_tokens.json", R"({"second": 4, "first": 3})");
    const vlm::Tokenizer tokenizer = load();
    EXPECT_EQ(tokenizer.id_of("first"), 3);
    EXPECT_EQ(tokenizer.id_of("second"), 4);
}

TEST_F(CheckpointFolder, RefusesBrokenCompanionsByName) {
    const auto refused = [&](const char* name, const std::string& text, const std::string& part) {
        write(name, text);
        try {
            load();
            ADD_FAILURE() << "accepted " << text;
        } catch (const vlm::Error& e) {
            EXPECT_NE(std::string(e.what()).find(name), std::string::npos) << e.what();
            EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
        }
        fs::remove(folder_ / name);
    };
    refused("tokenizer_config.json", "{\"a\": ", "line 1");
    refused("tokenizer_config.json", "[]", "expected an object");
    refused("tokenizer_config.json", R"({"added_tokens_decoder": {"x": {"content": "a"}}})", "expected a token id");
    refused("added_tokens.json", R"({"a": "b"})", "expected an integer");
    fs::remove(folder_ / "tokenizer.json");
    EXPECT_THROW(load(), vlm::Error);
}

}  // namespace
