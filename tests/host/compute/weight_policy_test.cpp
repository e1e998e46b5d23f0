/** @file weight_policy_test.cpp
 *  Patterns and rules that say how layers are stored.
 */
#include "host/compute/weight_policy.hpp"

#include <gtest/gtest.h>

#include "host/base/error.hpp"

namespace vlm {
namespace {

TEST(WeightPolicy, Patterns) {
    EXPECT_TRUE(matches_pattern("backbone/layers.0.up", "backbone/layers.0.*"));
    EXPECT_TRUE(matches_pattern("backbone/layers.0.up", "*"));
    EXPECT_TRUE(matches_pattern("backbone/layers.0.up", "*layers*up"));
    EXPECT_TRUE(matches_pattern("abcabd", "*ab*d"));
    EXPECT_TRUE(matches_pattern("", "**"));
    EXPECT_TRUE(matches_pattern("a", "a"));
    EXPECT_FALSE(matches_pattern("a", ""));
    EXPECT_FALSE(matches_pattern("", "a"));
    EXPECT_FALSE(matches_pattern("backbone/layers.10.up", "backbone/layers.1.*"));
    EXPECT_FALSE(matches_pattern("abc", "*b"));
    // Would take for ever if every star were tried in every place.
    EXPECT_FALSE(matches_pattern(std::string(5000, 'a'), "*a*a*a*a*a*a*a*a*a*a*a*b"));
}

TEST(WeightPolicy, TheFirstRuleThatFitsCounts) {
    const std::vector<WeightRule> rules = {parse_weight_rule("*/layers.0.*=int8"),
                                           parse_weight_rule("backbone/*=int4")};
    ASSERT_NE(find_weight_type(rules, "backbone/layers.0.up"), nullptr);
    EXPECT_EQ(*find_weight_type(rules, "backbone/layers.0.up"), "int8");
    EXPECT_EQ(*find_weight_type(rules, "backbone/layers.1.up"), "int4");
    EXPECT_EQ(find_weight_type(rules, "connector/linear"), nullptr);
}

TEST(WeightPolicy, RefusesWhatIsNoRule) {
    for (const char* text : {"", "int4", "=int4", "a=int5", "a=", "a=INT4"}) {
        try {
            parse_weight_rule(text);
            FAIL() << text;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), VLM_STATUS_INVALID_ARGUMENT);
            EXPECT_NE(std::string(error.what()).find("weights_of"), std::string::npos);
        }
    }
    EXPECT_EQ(parse_weight_rule("a=b=bf16").pattern, "a=b");
    EXPECT_EQ(parse_weight_rule("*=fp8").type, "fp8");
}

}  // namespace
}  // namespace vlm
