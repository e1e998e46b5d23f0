/** @file action_decoder_test.cpp
 *  Tokens to actions, by the formulas of OpenVLA, and the choices that must not be guessed.
 */
#include "plugins/action_decoder/action_decoder.hpp"

#include <gtest/gtest.h>

namespace vlm::action {
namespace {

using nlohmann::json;

json model() {
    const json action = {{"q01", {-0.02, 0.0}}, {"q99", {0.03, 1.0}}, {"mask", {true, false}}};
    return {{"n_action_bins", 256},
            {"pad_to_multiple_of", 64},
            {"text_config", {{"vocab_size", 544}}},
            {"norm_stats", {{"golden", {{"action", action}}}}}};
}

sdk::ComponentConfig component(const json& options, const json& model) {
    return {sdk::Config::parse(options.dump(), "config"), sdk::Config::parse(model.dump(), "config.json"),
            sdk::Config(), sdk::Host()};
}

std::string refusal(const json& options, const json& model) {
    try {
        ActionDecoder decoder(component(options, model));
    } catch (const sdk::Error& error) {
        return error.what();
    }
    return "";
}

json process(const ActionDecoder& decoder, const std::vector<int32_t>& ids) {
    std::vector<vlm_token_piece> tokens(ids.size(), sdk::make_struct<vlm_token_piece>());
    std::vector<const vlm_token_piece*> pointers;
    for (size_t i = 0; i < ids.size(); ++i) {
        tokens[i].id = ids[i];
        pointers.push_back(&tokens[i]);
    }
    auto answer = sdk::make_struct<vlm_answer>();
    answer.tokens = pointers.data();
    answer.token_count = static_cast<uint32_t>(ids.size());
    const vlm_answer* answers[] = {&answer};
    auto input = sdk::make_struct<vlm_post_input>();
    input.answer_count = 1;
    input.answers = answers;
    const auto context = sdk::make_struct<vlm_run_context>();
    return decoder.process(sdk::Run(&context), input);
}

TEST(ActionDecoder, CentresOfBins) {
    // numpy: b = linspace(-1, 1, 256); c = (b[:-1] + b[1:]) / 2
    EXPECT_NEAR(bin_centre(479, 480, 256), -0.9960784313725490, 1e-15);
    EXPECT_NEAR(bin_centre(225, 480, 256), 0.9960784313725490, 1e-15);
    EXPECT_NEAR(bin_centre(352, 480, 256), 0.0, 1e-15);
    EXPECT_EQ(bin_centre(5, 480, 256), bin_centre(225, 480, 256));  // no action token: the nearest bin
    EXPECT_EQ(bin_centre(543, 480, 256), bin_centre(479, 480, 256));
}

TEST(ActionDecoder, UsesStatisticsWhereTheMaskSaysSo) {
    const ActionDecoder decoder(component(json::object(), model()));
    const json out = process(decoder, {479, 225, 7});
    const double low = -0.9960784313725490;
    EXPECT_NEAR(out["action"][0].get<double>(), 0.5 * (low + 1) * (0.05 + 1e-8) - 0.02, 1e-12);
    EXPECT_NEAR(out["action"][1].get<double>(), -low, 1e-12);
    EXPECT_NEAR(out["action_normalized"][0].get<double>(), low, 1e-12);
    EXPECT_EQ(out["action"].size(), 2U);
    EXPECT_EQ(out["action_statistics"], "golden");
    EXPECT_THROW(process(decoder, {479}), sdk::Error);
}

TEST(ActionDecoder, NeverGuessesTheRobot) {
    json two = model();
    two["norm_stats"]["other"] = two["norm_stats"]["golden"];
    EXPECT_NE(refusal(json::object(), two).find("'golden', 'other'"), std::string::npos);
    EXPECT_EQ(refusal({{"statistics", "other"}}, two), "");
    EXPECT_NE(refusal({{"statistics", "bridge"}}, two).find("bridge"), std::string::npos);
    EXPECT_NE(refusal(json::object(), json::object()).find("norm_stats"), std::string::npos);
    json broken = model();
    broken["norm_stats"]["golden"]["action"]["q99"] = json::array({1.0});
    EXPECT_NE(refusal(json::object(), broken).find("different lengths"), std::string::npos);
    broken["norm_stats"]["golden"]["action"]["q99"] = "x";
    EXPECT_NE(refusal(json::object(), broken).find("q99"), std::string::npos);
    EXPECT_NE(refusal({{"statistic", "golden"}}, model()).find("statistic"), std::string::npos);
}

}  // namespace
}  // namespace vlm::action
