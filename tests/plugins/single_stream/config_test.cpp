/** @file config_test.cpp
 *  Class defaults, heads by architecture, and what is refused.
 */
#include "plugins/single_stream/config.hpp"

#include <gtest/gtest.h>

namespace vlm::single_stream {
namespace {

StreamConfig read(const std::string& json) {
    return read_config(sdk::Config::parse(json, "config"));
}

TEST(SingleStreamConfig, DefaultsAreTheClass) {
    const auto c = read("{}");
    EXPECT_EQ(c.hidden_size, 768);
    EXPECT_EQ(c.max_positions, 40);
    EXPECT_EQ(c.grid_rows, 12);
    EXPECT_EQ(c.classes, 2);
    EXPECT_EQ(c.images, 1);
    EXPECT_FLOAT_EQ(c.norm_eps, 1e-12F);
}

TEST(SingleStreamConfig, ReadsTheHead) {
    const auto rank = read(R"({"architectures": ["ViltForImageAndTextRetrieval"], "id2label": {"0": "a", "1": "b"}})");
    EXPECT_EQ(rank.head, Head::rank);
    EXPECT_EQ(rank.classes, 1);
    const auto answers =
        read(R"({"architectures": ["ViltForQuestionAnswering"], "id2label": {"0": "a", "1": "b", "2": "c"}})");
    EXPECT_EQ(answers.head, Head::classifier);
    EXPECT_EQ(answers.classes, 3);
    const auto pair = read(
        R"({"architectures": ["ViltForImagesAndTextClassification"], "num_images": 2, "modality_type_vocab_size": 3})");
    EXPECT_EQ(pair.images, 2);
}

TEST(SingleStreamConfig, RefusesByName) {
    EXPECT_THROW(read(R"({"architectures": ["ViltForMaskedLM"]})"), sdk::Error);
    EXPECT_THROW(read(R"({"num_images": 2})"), sdk::Error);  // only two modality types
    EXPECT_THROW(read(R"({"hidden_size": 30, "num_attention_heads": 4})"), sdk::Error);
    EXPECT_THROW(read(R"({"image_size": 16, "patch_size": 32})"), sdk::Error);
    EXPECT_THROW(read(R"({"window_size": 4})"), sdk::Error);
}

}  // namespace
}  // namespace vlm::single_stream
