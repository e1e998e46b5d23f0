/** @file quality.hpp
 *  What another way of computing (quantised weights, bf16) does to a model's predictions.
 *
 *  Two free-running answers cannot be compared token by token once one token differs. So the reference answers
 * greedily, and its answer is then given to both as if each had chosen it (teacher forcing): every position compares
 * two distributions over the next token after the same text. Where the favourite is the same everywhere, the greedy
 * answers are the same.
 */
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "host/pipeline/pipeline.hpp"

namespace vlm {

/** Predictions for one answer. */
struct TaughtAnswer {
    std::vector<int32_t> tokens;  ///< The answer, its end-of-text token included when it had one.
    std::vector<float> logits;    ///< `[tokens, vocabulary]`: what was predicted in the place of each token.
};

/** Differences between predictions, over any number of answers. */
struct LogitDifference {
    int64_t positions = 0;
    int64_t same_favourite = 0;  ///< Positions where both have the same most likely token.
    int64_t answers = 0;
    int64_t same_answers = 0;  ///< Answers where that is so in every position.
    double kl_sum = 0;         ///< Kullback-Leibler divergence from the reference in nats, summed.
    double kl_max = 0;

    double agreement() const { return positions > 0 ? static_cast<double>(same_favourite) / positions_or_one() : 1; }
    double kl_mean() const { return kl_sum / positions_or_one(); }
    void add(const LogitDifference& other);

  private:
    double positions_or_one() const { return positions > 0 ? static_cast<double>(positions) : 1; }
};

/** Answers one image greedily (each row of text, when the manifest cuts pages) and keeps the predictions.
 *  @param taught  answers to be given instead, in the same order; empty: the pipeline's own.
 *  @throws Error FAILED_PRECONDITION when the backbone predicts no text, or when `taught` does not fit the image. */
std::vector<TaughtAnswer> teach(const Pipeline& pipeline, const NamedImage& image, const std::string& prompt,
                                int64_t max_new_tokens, std::span<const TaughtAnswer> taught,
                                const Listeners& listeners);

/** Compares two answers with the same tokens.
 *  @throws Error FAILED_PRECONDITION when tokens or vocabularies differ. */
LogitDifference compare_logits(const TaughtAnswer& reference, const TaughtAnswer& other);

}  // namespace vlm
