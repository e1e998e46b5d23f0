/** @file stream_test.cpp
 *  Class scores of the reference, questions alone and together.
 */
#include <gtest/gtest.h>

#include <filesystem>

#include "host/image/decode.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {
namespace {

class StreamTest : public testing::Test {
  protected:
    void SetUp() override {
        folder_ = std::filesystem::path(VLM_GOLDEN_DIR) / "vilt";
        if (!std::filesystem::exists(folder_)) GTEST_SKIP() << "no golden checkpoint at " << folder_;
        OpenOptions open;
        open.plugin_folders = {VLM_PLUGIN_DIR};
        Manifest manifest = Manifest::for_model(folder_);
        manifest.dtype = "f32";
        pipeline_ = Pipeline::open(manifest, open);
    }
    Request request(const std::string& prompt, const std::vector<std::string>& images) const {
        Request r;
        r.prompt = prompt;
        r.raw_prompt = true;
        for (const auto& image : images) r.images.push_back({image, decode_file(folder_ / image)});
        return r;
    }
    std::filesystem::path folder_;
    std::unique_ptr<Pipeline> pipeline_;
};

TEST_F(StreamTest, MatchesTheReferenceInAnyBatch) {
    const auto store = WeightStore::open(folder_ / "expected.safetensors");
    const std::vector<Request> requests = {request("how many cats are there?", {"photo.png"}),
                                           request("빨간 원은 무슨 색?", {"large.png"})};
    const auto results = pipeline_->answer(requests, {}, {});
    for (size_t i = 0; i < requests.size(); ++i) {
        const auto* expected = store->find("case" + std::to_string(i) + ".logits");
        ASSERT_NE(expected, nullptr);
        const auto* reference = reinterpret_cast<const float*>(expected->data);
        const auto scores = results[i].answers.at(0).output.span<float>();
        const auto again = pipeline_->answer({requests[i]}, {}, {}).front();
        const auto alone = again.answers.at(0).output.span<float>();
        ASSERT_EQ(static_cast<int64_t>(scores.size()), expected->shape[1]);
        for (size_t c = 0; c < scores.size(); ++c) {
            EXPECT_NEAR(scores[c], reference[c], 2e-5F) << i << " " << c;
            EXPECT_NEAR(scores[c], alone[c], 1e-6F) << i << " " << c;
        }
    }
}

TEST_F(StreamTest, RefusesWhatItCannotAnswer) {
    EXPECT_THROW(pipeline_->answer({request("how many?", {})}, {}, {}), Error);
    EXPECT_THROW(pipeline_->answer({request("how many?", {"photo.png", "large.png"})}, {}, {}), Error);
    std::string text;
    for (int i = 0; i < 200; ++i) text += "how many ";
    EXPECT_THROW(pipeline_->answer({request(text, {"photo.png"})}, {}, {}), Error);
}

}  // namespace
}  // namespace vlm
