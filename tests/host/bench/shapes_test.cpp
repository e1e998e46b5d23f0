/** @file shapes_test.cpp
 *  The shapes must be those of the real models, and their files such that every reader takes them.
 */
#include "host/bench/shapes.hpp"

#include <gtest/gtest.h>

#include <set>

#include "host/base/error.hpp"
#include "host/json/document.hpp"
#include "host/tokenizer/tokenizer.hpp"

namespace vlm::bench {
namespace {

double billions(const std::string& name) {
    int64_t elements = 0;
    for (const auto& tensor : tensors_of(model_shape(name))) elements += tensor.elements();
    return static_cast<double>(elements) / 1e9;
}

TEST(Shapes, HaveTheParametersOfTheRealModels) {
    EXPECT_NEAR(billions("llava-1.1b"), 1.100 + 0.304 + 0.006, 0.01);
    EXPECT_NEAR(billions("llava-1.5-7b"), 7.063, 0.01);
    EXPECT_NEAR(billions("qwen2-vl-2b"), 2.209, 0.01);
    EXPECT_NEAR(billions("internvl-2b"), 2.09, 0.02);
}

TEST(Shapes, UnknownNameNamesTheKnown) {
    try {
        model_shape("llava");
        FAIL() << "accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), VLM_STATUS_NOT_FOUND);
        EXPECT_NE(std::string(error.what()).find("llava-1.5-7b"), std::string::npos) << error.what();
    }
}

TEST(Shapes, FilesAreReadable) {
    for (const auto& shape : model_shapes()) {
        SCOPED_TRACE(shape.name);
        const auto config = json::Document::from_text(config_json(shape), "config.json");
        EXPECT_TRUE(config.root().contains("model_type"));
        json::Document::from_text(preprocessor_json(shape), "preprocessor_config.json");
        const auto tokenizer = Tokenizer::from_json(tokenizer_json(shape), "tokenizer.json");
        EXPECT_LT(tokenizer.max_id(), shape.vocabulary);
        const std::string text = "any text, 한글 too";
        EXPECT_EQ(tokenizer.decode(tokenizer.encode(text, false), true), text);
        std::set<std::string> names;
        for (const auto& tensor : tensors_of(shape)) EXPECT_TRUE(names.insert(tensor.name).second) << tensor.name;
    }
}

}  // namespace
}  // namespace vlm::bench
