/** @file confidence.cpp
 *  Sums run in the order of the tokens, so the same answer always gives the same bits.
 */
#include "confidence.hpp"

#include <algorithm>
#include <cmath>

namespace vlm::drug_validator {
namespace {

constexpr double kEdge = 1e-6;
constexpr double kImpossible = -100;

}  // namespace

std::vector<Token> place_tokens(std::string_view text, const std::vector<std::pair<std::string, double>>& pieces) {
    std::vector<Token> out;
    out.reserve(pieces.size());
    std::size_t pos = 0;
    for (const auto& [piece, log_probability] : pieces) {
        // A piece may have lost a space in decoding; farther away it would be another occurrence.
        constexpr std::size_t kSlack = 8;
        const std::size_t at =
            piece.empty() ? std::string_view::npos : text.substr(pos, piece.size() + kSlack).find(piece);
        const std::size_t begin = at == std::string_view::npos ? pos : pos + at;
        const std::size_t end = at == std::string_view::npos ? begin : begin + piece.size();
        out.push_back({begin, end, log_probability});
        pos = end;
    }
    return out;
}

std::optional<double> reading_probability(const std::vector<Token>& tokens, const std::vector<Span>& spans) {
    double sum = 0;
    double lowest = 0;
    std::size_t count = 0;
    const auto add = [&](const Token& t) {
        const double p = std::isnan(t.log_probability) ? kImpossible : std::clamp(t.log_probability, kImpossible, 0.0);
        sum += p;
        lowest = std::min(lowest, p);
        ++count;
    };
    for (const Token& t : tokens) {
        const bool touches =
            std::any_of(spans.begin(), spans.end(), [&](const Span& s) { return t.begin < s.end && s.begin < t.end; });
        if (touches) add(t);
    }
    if (count == 0)
        for (const Token& t : tokens) add(t);
    if (count == 0) return std::nullopt;
    return std::exp((sum / static_cast<double>(count) + lowest) / 2);
}

double calibrate(double probability, const ConfidenceOptions& options) {
    const double p = std::clamp(probability, kEdge, 1 - kEdge);
    return 1 / (1 + std::exp(-(std::log(p / (1 - p)) / options.temperature + options.bias)));
}

}  // namespace vlm::drug_validator
