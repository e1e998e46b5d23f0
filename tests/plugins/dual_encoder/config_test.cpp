/** @file config_test.cpp
 *  Class defaults, the pooled row, and what is refused.
 */
#include "plugins/dual_encoder/config.hpp"

#include <gtest/gtest.h>

namespace vlm::dual_encoder {
namespace {

TextConfig read(const std::string& json) {
    return read_config(sdk::Config::parse(json, "config"));
}

TEST(DualEncoderConfig, DefaultsAreTheClass) {
    const auto c = read("{}");
    EXPECT_EQ(c.hidden_size, 512);
    EXPECT_EQ(c.max_positions, 77);
    EXPECT_EQ(c.projection_size, 512);
    EXPECT_EQ(c.end_token, 49407);
}

TEST(DualEncoderConfig, PoolsAtTheFirstEndToken) {
    const auto c = read(R"({"eos_token_id": 9})");
    const int32_t ids[] = {1, 30, 9, 9, 9};
    EXPECT_EQ(pooled_row(c, ids, 5), 2);
    EXPECT_EQ(pooled_row(c, ids, 2), 0);  // none: the first, as argmax over zeros
}

TEST(DualEncoderConfig, PoolsAtTheLargestIdInOldCheckpoints) {
    const auto c = read(R"({"eos_token_id": 2})");
    const int32_t ids[] = {1, 2, 30, 49407, 49407};
    EXPECT_EQ(pooled_row(c, ids, 5), 3);
}

TEST(DualEncoderConfig, RefusesByName) {
    EXPECT_THROW(read(R"({"hidden_size": 30, "num_attention_heads": 4})"), sdk::Error);
    EXPECT_THROW(read(R"({"is_encoder_decoder": true})"), sdk::Error);
    EXPECT_THROW(read(R"({"hidden_act": "mish"})"), sdk::Error);
    try {
        read(R"({"rotary_dim": 4})");
        FAIL();
    } catch (const sdk::Error& error) {
        EXPECT_NE(std::string(error.what()).find("rotary_dim"), std::string::npos);
    }
}

}  // namespace
}  // namespace vlm::dual_encoder
