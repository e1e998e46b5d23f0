/** @file reread_test.cpp
 *  Second readings with the shipped model: which rows get one, and that a page whose rows are all read again keeps its
 *  answer while its token probabilities become those of all cuts together.
 */
#include "host/pipeline/reread.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "host/image/decode.hpp"

namespace vlm {
namespace {

namespace fs = std::filesystem;
const fs::path kSample = fs::path(VLM_SOURCE_DIR) / "samples/medical";

Answer answer_with(std::initializer_list<float> log_probabilities) {
    Answer answer;
    for (const float x : log_probabilities) answer.tokens.push_back({1, x, "a", 0, 0});
    return answer;
}

TEST(Reread, DoubtIsTheLeastProbableToken) {
    EXPECT_FALSE(is_doubtful(answer_with({}), 0.9));
    EXPECT_FALSE(is_doubtful(answer_with({-0.01f, -0.05f}), 0.9));
    EXPECT_TRUE(is_doubtful(answer_with({-0.01f, -0.2f, 0}), 0.9));
}

class RereadPage : public testing::Test {
  protected:
    /** The sample page read with the medical manifest, without post-processors and with these second readings. */
    static Result read(const nlohmann::json& reread) {
        std::ifstream file(kSample / "medical.json");
        auto manifest = nlohmann::json::parse(file);
        manifest.erase("pipeline");
        manifest["dtype"] = "f32";
        manifest["image"].erase("reread");
        if (!reread.is_null()) manifest["image"]["reread"] = reread;
        OpenOptions options;
        options.plugin_folders = {VLM_PLUGIN_DIR};
        const auto pipeline = Pipeline::open(Manifest::from_text(manifest.dump(), "medical.json", kSample), options);
        Request request;
        request.images.push_back({"page", decode_file((kSample / "prescription.png").string(), {})});
        return pipeline->answer({request}, pipeline->manifest().generation).front();
    }
};

TEST_F(RereadPage, TheSameCutAgainChangesNothingButRounding) {
    const Result once = read(nullptr);
    const Result twice = read({{"below", 1.0}, {"margins", {0.16}}});
    ASSERT_EQ(once.answers.size(), twice.answers.size());
    for (size_t i = 0; i < once.answers.size(); ++i) {
        EXPECT_EQ(once.answers[i].text, twice.answers[i].text);
        ASSERT_EQ(once.answers[i].tokens.size(), twice.answers[i].tokens.size());
        for (size_t t = 0; t < once.answers[i].tokens.size(); ++t)
            EXPECT_NEAR(once.answers[i].tokens[t].log_probability, twice.answers[i].tokens[t].log_probability, 1e-3);
    }
    EXPECT_FALSE(once.timings_ms.contains("reread"));
}

TEST_F(RereadPage, OtherCutsChangeProbabilitiesAndKeepTheRow) {
    const Result once = read(nullptr);
    const Result more = read({{"below", 1.0}, {"margins", {0.06, 0.26}}});
    ASSERT_EQ(once.answers.size(), more.answers.size());
    double change = 0;
    for (size_t i = 0; i < once.answers.size(); ++i) {
        EXPECT_EQ(once.answers[i].region, more.answers[i].region);
        EXPECT_EQ(once.answers[i].image, more.answers[i].image);
        if (once.answers[i].text != more.answers[i].text) continue;
        for (size_t t = 0; t < once.answers[i].tokens.size(); ++t)
            change += std::abs(once.answers[i].tokens[t].log_probability - more.answers[i].tokens[t].log_probability);
    }
    EXPECT_GT(change, 0);
}

}  // namespace
}  // namespace vlm
