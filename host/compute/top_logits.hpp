/** @file top_logits.hpp
 *  The few largest logits of a row, and what makes probabilities of them.
 *
 *  To choose a token, greedily or among the k best, nothing else of a row is needed. A device that finds them itself
 * sends some bytes per sequence to the CPU instead of a whole vocabulary, and spares it an exponential per token of it.
 */
#pragma once
#include <cstdint>
#include <vector>

namespace vlm {

/** Most logits per row that a device is asked for. */
inline constexpr int64_t kMostTopLogits = 64;

/** Of one row of logits. */
struct TopLogits {
    std::vector<int32_t> ids;  ///< Best first; of equal logits the lower id first.
    std::vector<float> logits;
    double log_sum = 0;   ///< Logarithm of the sum of exp(logit - logits[0]) over the whole row.
    bool numbers = true;  ///< False: there is a NaN in the row, and nothing else here counts.
};

}  // namespace vlm
