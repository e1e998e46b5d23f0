/** @file text_tower_test.cpp
 *  Embeddings of the reference, each text alone and all together: what else is in a batch must not matter.
 */
#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

#include "host/pipeline/pipeline.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {
namespace {

std::vector<double> normalized(const Tensor& row) {
    const auto values = row.span<float>();
    double square = 0;
    for (const float v : values) square += static_cast<double>(v) * static_cast<double>(v);
    std::vector<double> out;
    for (const float v : values) out.push_back(static_cast<double>(v) / std::sqrt(square));
    return out;
}

TEST(TextTower, MatchesTheReferenceInAnyBatch) {
    const std::filesystem::path folder = std::filesystem::path(VLM_GOLDEN_DIR) / "clip";
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no golden checkpoint at " << folder;
    const std::vector<std::string> texts = {"a photo of a cat", "a red circle", "파란 삼각형"};
    const auto store = WeightStore::open(folder / "expected.safetensors");
    const auto* expected = store->find("case0.text_embeds");
    ASSERT_NE(expected, nullptr);
    OpenOptions open;
    open.plugin_folders = {VLM_PLUGIN_DIR};
    Manifest manifest = Manifest::for_model(folder);
    manifest.dtype = "f32";
    const auto pipeline = Pipeline::open(manifest, open);
    Request all;
    all.texts = texts;
    const auto together = pipeline->answer({all}, {}, {}).front();
    ASSERT_EQ(together.answers.size(), texts.size());
    for (size_t i = 0; i < texts.size(); ++i) {
        const auto batched = normalized(together.answers[i].output);
        Request one;
        one.texts = {texts[i]};
        const auto alone = normalized(pipeline->answer({one}, {}, {}).front().answers.at(0).output);
        const auto* reference = reinterpret_cast<const float*>(expected->data) + i * batched.size();
        for (size_t c = 0; c < batched.size(); ++c) {
            EXPECT_NEAR(batched[c], static_cast<double>(reference[c]), 2e-5) << i << " " << c;
            EXPECT_NEAR(batched[c], alone[c], 1e-6) << i << " " << c;
        }
    }
    Request longest;
    longest.texts = {std::string(4000, 'x')};
    EXPECT_THROW(pipeline->answer({longest}, {}, {}), Error);
}

}  // namespace
}  // namespace vlm
