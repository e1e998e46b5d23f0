/** @file confidence.hpp
 *  The confidence head of document models: how sure the model is of the whole page.
 *
 *  `sigmoid(W2 relu(W1 m + b1) + b2)` with `m` the mean of the final hidden states, W1 `[hidden_size / 4, hidden_size]`
 *  and W2 `[1, hidden_size / 4]`. It is one small product per prompt, so it is computed on the CPU in f32 whatever the
 *  device.
 */
#pragma once
#include <optional>
#include <span>
#include <vector>
#include <vlm/sdk/weights.hpp>

namespace vlm::decoder {

/** The weights of a head. */
struct ConfidenceHead {
    std::vector<float> inner;       ///< [inner_size, hidden_size]
    std::vector<float> inner_bias;  ///< [inner_size]
    std::vector<float> outer;       ///< [inner_size]
    float outer_bias = 0;

    /** Probability that the answer is right; `mean` has hidden_size values. */
    double operator()(std::span<const float> mean) const;
};

/** The head of a checkpoint, or nothing: `confidence_head.0` and `confidence_head.2`, as torch.nn.Sequential names the
 *  two layers. Throws INVALID_ARGUMENT for other shapes than above. */
std::optional<ConfidenceHead> load_confidence_head(const sdk::Weights& weights, int64_t hidden_size);

}  // namespace vlm::decoder
