/** @file golden_test.cpp
 *  Resamplers against reference checkpoints: the three styles that have one, pass-through, and several views.
 */
#include <gtest/gtest.h>

#include "host/base/error.hpp"
#include "tests/plugins/connector_case.hpp"

namespace vlm::test {
namespace {

constexpr double kTolerance = 2e-4;

/** One image of the expected `connector` `[images, latents, width]`. */
std::vector<float> expected_tokens(const ConnectorCase& loaded, int number, size_t image, size_t size) {
    const auto all = loaded.expected("case" + std::to_string(number) + ".connector");
    return {all.begin() + static_cast<std::ptrdiff_t>(image * size),
            all.begin() + static_cast<std::ptrdiff_t>((image + 1) * size)};
}

TEST(PerceiverGolden, IdeficsKeepsMemoryForCrossAttention) {
    const auto folder = golden_folder() / "idefics";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "perceiver", "idefics");
    EXPECT_EQ(loaded.connector().description().delivery, uint32_t{VLM_DELIVERY_CROSS_ATTENTION});
    constexpr size_t kSize = 6 * 32;
    EXPECT_LT(distance(loaded.connect(0, "", 0), expected_tokens(loaded, 0, 0, kSize)), kTolerance);
    EXPECT_LT(distance(loaded.connect(0, "", 1), expected_tokens(loaded, 0, 1, kSize)), kTolerance);
    EXPECT_LT(distance(loaded.connect(1), expected_tokens(loaded, 1, 0, kSize)), kTolerance);
    EXPECT_EQ(loaded.layout.tokens(), 6);
    EXPECT_LT(distance(loaded.taps["connector"], loaded.expected("case1.connector")), kTolerance);
}

TEST(PerceiverGolden, IdeficsWithoutResamplerPassesFeaturesThrough) {
    const auto folder = golden_folder() / "idefics";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "perceiver", "idefics", R"({"resample": false})");
    EXPECT_EQ(loaded.connect(1), loaded.expected("case1.vision.last_hidden"));
    EXPECT_EQ(loaded.layout.tokens(), 17);
}

TEST(PerceiverGolden, Idefics2WithGroupedKeys) {
    const auto folder = golden_folder() / "idefics2";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "perceiver", "idefics2");
    EXPECT_EQ(loaded.connector().description().delivery, uint32_t{VLM_DELIVERY_INLINE});
    EXPECT_LT(distance(loaded.connect(1), loaded.expected("case1.connector")), kTolerance);
}

TEST(PerceiverGolden, EveryViewIsResampledByItself) {
    const auto folder = golden_folder() / "idefics2";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "perceiver", "idefics2");
    const auto once = loaded.expected("case1.connector");
    auto thrice = once;
    thrice.insert(thrice.end(), once.begin(), once.end());
    thrice.insert(thrice.end(), once.begin(), once.end());
    EXPECT_LT(distance(loaded.connect(1, "", 0, 3), thrice), kTolerance);
    ASSERT_EQ(loaded.layout.blocks().size(), 3u);
    EXPECT_EQ(loaded.layout.blocks()[2].kind, uint32_t{VLM_BLOCK_LATENT});
    EXPECT_EQ(loaded.layout.blocks()[2].tile_column, 2);
}

TEST(PerceiverGolden, Kosmos2NormsFeaturesAndKeepsNoResidual) {
    const auto folder = golden_folder() / "kosmos2";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    ConnectorCase loaded(folder, "perceiver", "kosmos-2");
    for (int number = 0; number < 2; ++number)
        EXPECT_LT(distance(loaded.connect(number), loaded.expected("case" + std::to_string(number) + ".connector")),
                  kTolerance);
}

TEST(PerceiverGolden, SaysWhichWeightDoesNotFit) {
    const auto folder = golden_folder() / "idefics";
    if (!fs::exists(folder)) GTEST_SKIP() << "no golden checkpoints at " << folder;
    try {
        ConnectorCase loaded(folder, "perceiver", "idefics", R"({"resampler_head_dim": 7})");
        FAIL() << "was accepted";
    } catch (const Error& error) {
        EXPECT_NE(std::string(error.what()).find("q_proj"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace vlm::test
