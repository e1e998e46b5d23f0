/** @file confidence.hpp
 *  How sure the model was of what it read. A strength is wrong when one digit is wrong, so the weakest token counts as
 * much as the average; two parameters (Platt scaling, as in Guo et al., ICML 2017) turn that into a calibrated
 * probability.
 */
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vlm::drug_validator {

/** One generated token: its bytes in the answer and the natural logarithm of its probability. */
struct Token {
    std::size_t begin = 0;
    std::size_t end = 0;
    double log_probability = 0;
};

/** A half-open byte range. */
struct Span {
    std::size_t begin = 0;
    std::size_t end = 0;
};

struct ConfidenceOptions {
    double temperature = 1;  ///< divides the log-odds; > 1 makes confidences less extreme
    double bias = 0;         ///< added to the log-odds after that
};

/** Places pieces one after the other in @p text; a piece that is not found there (a marker that was not decoded) gets
 * an empty range. */
std::vector<Token> place_tokens(std::string_view text, const std::vector<std::pair<std::string, double>>& pieces);

/** exp((mean + min) / 2) over the log-probabilities of the tokens that touch one of @p spans; over all tokens when none
 * does; nothing without tokens. Positive or NaN log-probabilities count as what they cannot exceed: 0 and impossible.
 */
std::optional<double> reading_probability(const std::vector<Token>& tokens, const std::vector<Span>& spans);

/** sigmoid(logit(p) / temperature + bias), with p kept off 0 and 1 by 1e-6. */
double calibrate(double probability, const ConfidenceOptions& options);

}  // namespace vlm::drug_validator
