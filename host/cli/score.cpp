/** @file score.cpp
 *  See score.hpp.
 */
#include "host/cli/score.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"

namespace vlm::cli {
namespace {

nlohmann::ordered_json score_json(const Score& score) {
    auto tokens = nlohmann::ordered_json::array();
    double sum = 0;
    for (const auto& token : score.tokens) {
        tokens.push_back({{"id", token.id}, {"piece", token.piece}, {"log_probability", token.log_probability}});
        sum += static_cast<double>(token.log_probability);
    }
    return {{"answer", score.answer}, {"loss", score.loss}, {"log_probability", sum}, {"tokens", tokens}};
}

}  // namespace

std::vector<std::string> given_answers(const std::vector<std::string>& values) {
    std::vector<std::string> answers;
    for (const auto& value : values) {
        if (!value.starts_with('@')) {
            answers.push_back(value);
            continue;
        }
        const std::string path = value.substr(1);
        std::error_code failure;
        const auto size = std::filesystem::file_size(path, failure);  // refuses what is no regular file
        std::ifstream file(path, std::ios::binary);
        if (failure || !file)
            throw not_found(path + ": cannot be read" + (failure ? ": " + failure.message() : "") +
                            " (a text that begins with @ goes into a file)");
        constexpr std::uintmax_t kMost = 1 << 20;
        if (size > kMost)
            throw invalid_argument(path + ": an answer of " + std::to_string(size) +
                                   " bytes is not scored; at most 1 MB is");
        std::string answer{std::istreambuf_iterator<char>(file), {}};
        while (answer.ends_with('\n') || answer.ends_with('\r')) answer.pop_back();
        answers.push_back(std::move(answer));
    }
    return answers;
}

void print_scores(const Request& request, std::vector<Score> scores, bool json) {
    if (json) {
        nlohmann::ordered_json line = {{"image", nlohmann::ordered_json::array()},
                                       {"scores", nlohmann::ordered_json::array()}};
        for (const auto& image : request.images) line["image"].push_back(image.name);
        for (const auto& score : scores) line["scores"].push_back(score_json(score));
        if (!scores.empty()) line["tokens"] = {{"visual", scores[0].visual_tokens}, {"text", scores[0].prompt_tokens}};
        std::printf("%s\n", line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace).c_str());
        return;
    }
    for (const auto& image : request.images) std::printf("%s\n", image.name.c_str());
    std::stable_sort(scores.begin(), scores.end(), [](const Score& a, const Score& b) { return a.loss < b.loss; });
    for (const auto& score : scores) {
        std::printf("  loss %.4f  perplexity %.2f  %zu tokens: %s\n", score.loss, std::exp(score.loss),
                    score.tokens.size(), score.answer.c_str());
        for (const auto& token : score.tokens)
            std::printf("    %8.4f  %6d  %s\n", static_cast<double>(token.log_probability), token.id,
                        token.piece.c_str());
    }
}

}  // namespace vlm::cli
