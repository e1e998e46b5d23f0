/** @file sampling.hpp
 *  From logits to the next token.
 *
 *  The order of the filters is that of the reference library: repetition penalty, temperature, top-k, top-p, min-p. The
 * random numbers come from a generator that is defined bit for bit (SplitMix64), so a seed gives the same text on every
 * machine.
 */
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "host/compute/top_logits.hpp"
#include "host/pipeline/manifest.hpp"

namespace vlm {

/** A chosen token. */
struct Choice {
    int32_t id = 0;
    float log_probability = 0;  ///< Natural log of its probability under the unmodified distribution.
};

/** Chooses tokens for one sequence. */
class Sampler {
  public:
    /** `sequence` is mixed into the seed, so that the sequences of a batch differ. */
    Sampler(const GenerationOptions& options, uint64_t sequence);

    /** Chooses from `logits` `[vocabulary]`; `history` are all ids so far (repetition penalty). NaN logits throw
     * INTERNAL. */
    Choice choose(std::span<const float> logits, std::span<const int32_t> history);

    /** How many of the largest logits choose() needs to see; 0: it needs all of them. */
    int64_t needed() const;
    /** The same choice, and the same random numbers spent, from the needed() largest logits of a row. */
    Choice choose(const TopLogits& top);

  private:
    /** Draws from logits in falling order by temperature, top-p and min-p; returns the place. */
    size_t draw(std::span<const float> falling);
    double uniform();

    GenerationOptions options_;
    uint64_t state_;
    std::vector<float> scores_;
    std::vector<int32_t> order_;
    std::vector<float> falling_;
};

/** `log_softmax(logits)[id]`, in double. */
float log_probability_of(std::span<const float> logits, int32_t id);

}  // namespace vlm
