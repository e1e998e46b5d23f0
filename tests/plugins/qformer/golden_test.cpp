/** @file golden_test.cpp
 *  The Q-Former against reference checkpoints, with and without a prompt beside the queries.
 */
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "tests/plugins/connector_case.hpp"

namespace vlm::test {
namespace {

std::string prompt_of(const fs::path& folder, int number) {
    const auto inputs = json::Document::from_file((folder / "inputs.json").string());
    return nlohmann::json::parse(inputs.root().dump())["cases"][static_cast<size_t>(number)]["prompt"];
}

constexpr double kTolerance = 2e-4;

TEST(QFormerGolden, QueriesAlone) {
    const auto folder = golden_folder() / "blip2";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "qformer", "blip-2");
    EXPECT_EQ(loaded.connector().description().reads_prompt, 0u);
    for (int number = 0; number < 2; ++number) {
        const std::string prefix = "case" + std::to_string(number) + ".";
        EXPECT_LT(distance(loaded.connect(number, ""), loaded.expected(prefix + "connector")), kTolerance);
        EXPECT_LT(distance(loaded.taps["qformer"], loaded.expected(prefix + "qformer")), kTolerance);
        EXPECT_EQ(loaded.layout.tokens(), 8);
        EXPECT_EQ(loaded.layout.blocks().front().kind, uint32_t{VLM_BLOCK_LATENT});
    }
}

TEST(QFormerGolden, QueriesBesideThePrompt) {
    const auto folder = golden_folder() / "instructblip";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "qformer", "instructblip");
    EXPECT_EQ(loaded.connector().description().reads_prompt, 1u);
    for (int number = 0; number < 2; ++number) {
        const std::string prefix = "case" + std::to_string(number) + ".";
        const auto right = loaded.connect(number, prompt_of(folder, number));
        EXPECT_LT(distance(right, loaded.expected(prefix + "connector")), kTolerance);
        EXPECT_LT(distance(loaded.taps["qformer"], loaded.expected(prefix + "qformer")), kTolerance);
        // Another prompt gives other tokens: the text is really read.
        EXPECT_GT(distance(loaded.connect(number, "another question"), right), 1e-2);
    }
}

TEST(QFormerGolden, RefusesAPromptLongerThanItsPositions) {
    const auto folder = golden_folder() / "instructblip";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "qformer", "instructblip");
    std::string prompt;
    for (int i = 0; i < 100; ++i) prompt += "word ";
    try {
        loaded.connect(0, prompt);
        FAIL() << "was accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_NE(std::string(error.what()).find("reads at most 64"), std::string::npos) << error.what();
    }
}

TEST(QFormerGolden, SaysWhichWeightDoesNotFit) {
    const auto folder = golden_folder() / "blip2";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    try {
        ConnectorCase loaded(folder, "qformer", "blip-2", R"({"num_query_tokens": 9})");
        FAIL() << "was accepted";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("query_tokens"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace vlm::test
