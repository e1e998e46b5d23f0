/** @file confidence.cpp
 *  See confidence.hpp.
 */
#include "confidence.hpp"

#include <algorithm>
#include <cmath>
#include <string>

namespace vlm::decoder {

double ConfidenceHead::operator()(std::span<const float> mean) const {
    double sum = outer_bias;
    for (size_t i = 0; i < outer.size(); ++i) {
        double inside = inner_bias[i];
        for (size_t k = 0; k < mean.size(); ++k)
            inside += static_cast<double>(inner[i * mean.size() + k]) * static_cast<double>(mean[k]);
        sum += static_cast<double>(outer[i]) * std::max(inside, 0.0);
    }
    return 1 / (1 + std::exp(-sum));
}

std::optional<ConfidenceHead> load_confidence_head(const sdk::Weights& weights, int64_t hidden_size) {
    const std::string first = "confidence_head.0", second = "confidence_head.2";
    if (!weights.has(first + ".weight")) return std::nullopt;
    const sdk::Tensor inner = weights.at(first + ".weight");
    if (inner.ndim() != 2 || inner.size(1) != hidden_size)
        throw sdk::invalid_argument("weight '" + first + ".weight': has shape " + sdk::to_string(inner.shape()) +
                                    ", expected [hidden_size / 4, " + std::to_string(hidden_size) + "]");
    const int64_t size = inner.size(0);
    ConfidenceHead head;
    head.inner = sdk::to_floats(inner);
    head.inner_bias = sdk::to_floats(weights.at(first + ".bias", {size}));
    head.outer = sdk::to_floats(weights.at(second + ".weight", {1, size}));
    head.outer_bias = sdk::to_floats(weights.at(second + ".bias", {1})).front();
    return head;
}

}  // namespace vlm::decoder
