/** @file rope_test.cpp
 *  Inverse frequencies against transformers 5.23 (modeling_rope_utils.py), head_dim 8.
 */
#include "plugins/decoder/rope.hpp"

#include <gtest/gtest.h>

namespace vlm::decoder {
namespace {

RopeConfig config(RopeConfig::Kind kind, double theta, double factor) {
    RopeConfig c;
    c.kind = kind;
    c.theta = theta;
    c.factor = factor;
    c.max_positions = 64;
    return c;
}

void expect_frequencies(const RopeConfig& c, int64_t length, const std::vector<double>& expected,
                        double scaling = 1.0) {
    std::vector<float> found = inverse_frequencies(c, 8, length);
    ASSERT_EQ(found.size(), expected.size());
    for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-7 * expected[i]) << i;
    EXPECT_NEAR(rope_attention_scaling(c), scaling, 1e-6);
}

TEST(RopeTest, Standard) {
    expect_frequencies(config(RopeConfig::Kind::standard, 10000.0, 1.0), 100, {1.0, 0.1, 0.01, 0.001});
}

TEST(RopeTest, Linear) {
    expect_frequencies(config(RopeConfig::Kind::linear, 10000.0, 4.0), 100, {0.25, 0.025, 0.0025, 0.00025});
}

TEST(RopeTest, DynamicGrowsWithTheLengthOnly) {
    RopeConfig c = config(RopeConfig::Kind::dynamic, 10000.0, 2.0);
    EXPECT_TRUE(depends_on_length(c));
    expect_frequencies(c, 100, {1.0, 0.0777822211, 0.00605007401, 0.000470588246});
    expect_frequencies(c, 50, {1.0, 0.1, 0.01, 0.001});
}

TEST(RopeTest, Llama3) {
    RopeConfig c = config(RopeConfig::Kind::llama3, 100.0, 8.0);
    c.original_max_positions = 32;
    expect_frequencies(c, 1, {1.0, 0.0958399773, 0.0125000002, 0.00395284733});
}

TEST(RopeTest, Yarn) {
    RopeConfig c = config(RopeConfig::Kind::yarn, 100.0, 4.0);
    c.original_max_positions = 2048;
    expect_frequencies(c, 1, {1.0, 0.316227764, 0.1, 0.025693506}, 1.138629436);
    c.mscale = 0.7;
    c.mscale_all_dim = 1.2;
    c.truncate = false;
    c.beta_fast = 20.0;
    expect_frequencies(c, 1, {1.0, 0.316227764, 0.1, 0.0263748802}, 0.9405715251);
    c.attention_factor = 0.5;
    EXPECT_EQ(rope_attention_scaling(c), 0.5f);
}

TEST(RopeTest, Longrope) {
    RopeConfig c = config(RopeConfig::Kind::longrope, 10000.0, 4.0);
    c.original_max_positions = 16;
    c.short_factor = {1.0, 1.1, 1.2, 1.3};
    c.long_factor = {1.5, 2.0, 3.0, 4.0};
    expect_frequencies(c, 16, {1.0, 0.0909090936, 0.00833333284, 0.00076923077}, 1.224744871);
    expect_frequencies(c, 17, {0.666666687, 0.05, 0.00333333341, 0.00025}, 1.224744871);
}

TEST(RopeTest, PartialRotationAndAxes) {
    RopeConfig c;
    c.partial = 0.25;
    EXPECT_EQ(rotary_dim(c, 32), 8);
    EXPECT_EQ(inverse_frequencies(c, 32, 1).size(), 4u);
    EXPECT_TRUE(mrope_axes(c).empty());
    c.mrope_section = {1, 2, 1};
    EXPECT_EQ(mrope_axes(c), (std::vector<int32_t>{0, 1, 1, 2}));
}

}  // namespace
}  // namespace vlm::decoder
