/** @file similarity_test.cpp
 *  Embeddings and class scores in, JSON out.
 */
#include "plugins/similarity/similarity.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace vlm::similarity {
namespace {

using nlohmann::json;

sdk::ComponentConfig component(const json& options, const json& model = json::object()) {
    return {sdk::Config::parse(options.dump(), "config"), sdk::Config::parse(model.dump(), "config.json"),
            sdk::Config(), sdk::Host()};
}

/** Runs `post` over answers with these outputs, and image embeddings when there are any. */
json process(const Similarity& post, std::vector<std::vector<float>> outputs, std::vector<std::vector<float>> images,
             const std::vector<std::string>& prompts) {
    std::vector<sdk::HostTensor<float>> tensors;
    std::vector<sdk::Tensor> views;
    std::vector<float> all;
    for (const auto& row : images) all.insert(all.end(), row.begin(), row.end());
    sdk::HostTensor<float> embeddings(
        all, {static_cast<int64_t>(images.size()), images.empty() ? 0 : static_cast<int64_t>(images[0].size())});
    const sdk::Tensor embedding_view = embeddings.view();
    for (auto& row : outputs) {
        const auto columns = static_cast<int64_t>(row.size());
        tensors.emplace_back(std::move(row), sdk::Shape{1, columns});
    }
    for (auto& tensor : tensors) views.push_back(tensor.view());
    std::vector<vlm_answer> answers(tensors.size(), sdk::make_struct<vlm_answer>());
    std::vector<const vlm_answer*> pointers;
    for (size_t i = 0; i < answers.size(); ++i) {
        answers[i].output = views[i].get();
        answers[i].image_embeddings = images.empty() ? nullptr : embedding_view.get();
        pointers.push_back(&answers[i]);
    }
    std::vector<vlm_string> texts;
    for (const auto& prompt : prompts) texts.push_back({prompt.data(), prompt.size()});
    auto input = sdk::make_struct<vlm_post_input>();
    input.answer_count = static_cast<uint32_t>(answers.size());
    input.answers = pointers.data();
    input.prompt_count = static_cast<uint32_t>(texts.size());
    input.prompts = texts.data();
    const auto context = sdk::make_struct<vlm_run_context>();
    return post.process(sdk::Run(&context), input);
}

TEST(Similarity, RanksTextsForEachImage) {
    const Similarity post(component({{"embeddings", true}}));
    const json out = process(post, {{2, 0}, {0, 5}}, {{3, 4}, {0, 1}}, {"cat", "dog"});
    EXPECT_NEAR(out["logits_per_image"][0][0].get<double>(), 0.6, 1e-6);  // no logit_scale loaded: factor 1
    EXPECT_NEAR(out["cosines"][0][1].get<double>(), 0.8, 1e-6);
    EXPECT_NEAR(out["probabilities"][0][1].get<double>(), std::exp(0.8) / (std::exp(0.6) + std::exp(0.8)), 1e-6);
    EXPECT_EQ(out["ranking"][0][0]["text"], "dog");
    EXPECT_EQ(out["ranking"][1][0]["text"], "dog");
    EXPECT_EQ(out["ranking"][1].size(), 2U);
    EXPECT_NEAR(out["image_embeddings"][0][0].get<double>(), 0.6, 1e-6);
    EXPECT_NEAR(out["text_embeddings"][1][1].get<double>(), 1.0, 1e-6);
}

TEST(Similarity, NamesClasses) {
    const json model = {{"architectures", {"ViltForQuestionAnswering"}}, {"id2label", {{"0", "no"}, {"1", "yes"}}}};
    const json out = process(Similarity(component({{"top", 3}}, model)), {{-1, 2, 0}}, {}, {"is it?"});
    const json& list = out["predictions"][0];
    ASSERT_EQ(list.size(), 3U);
    EXPECT_EQ(list[0]["label"], "yes");
    EXPECT_NEAR(list[0]["probability"].get<double>(), 1 / (1 + std::exp(-2.0)), 1e-6);
    EXPECT_EQ(list[1]["label"], "LABEL_2");
    const json soft = process(Similarity(component({{"probability", "softmax"}}, model)), {{0, 0}}, {}, {});
    EXPECT_NEAR(soft["predictions"][0][0]["probability"].get<double>(), 0.5, 1e-6);
}

TEST(Similarity, ScoresMatches) {
    const json out = process(Similarity(component(json::object())), {{0}, {3}}, {}, {});
    EXPECT_NEAR(out["matches"][0]["probability"].get<double>(), 0.5, 1e-6);
    EXPECT_EQ(out["matches"][1]["score"], 3.0);
}

TEST(Similarity, RefusesWhatDoesNotFit) {
    const Similarity post(component(json::object()));
    EXPECT_THROW(process(post, {{1, 2, 3}}, {{1, 2}}, {"a"}), sdk::Error);
    EXPECT_THROW(process(post, {{1, 2}, {1}}, {}, {}), sdk::Error);
    EXPECT_THROW(Similarity(component({{"topp", 3}})), sdk::Error);
    EXPECT_THROW(Similarity(component({{"top", 0}})), sdk::Error);
    const auto answer = sdk::make_struct<vlm_answer>();  // a generated answer has no scores
    const vlm_answer* answers[] = {&answer};
    auto input = sdk::make_struct<vlm_post_input>();
    input.answer_count = 1;
    input.answers = answers;
    const auto context = sdk::make_struct<vlm_run_context>();
    EXPECT_THROW(post.process(sdk::Run(&context), input), sdk::Error);
}

}  // namespace
}  // namespace vlm::similarity
