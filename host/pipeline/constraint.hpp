/** @file constraint.hpp
 *  Choosing tokens under a grammar.
 *
 *  The model's own choice is taken wherever the grammar allows it, so an answer that would have been well-formed anyway
 * is the same token for token. Only where the choice does not fit are the logits of all tokens that do not fit removed.
 * Log-probabilities remain those of the unmodified distribution: a forced token shows as an improbable one.
 */
#pragma once
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "host/pipeline/grammar.hpp"
#include "host/pipeline/sampling.hpp"
#include "host/tokenizer/tokenizer.hpp"

namespace vlm {

/** The bytes that each token adds to a text, by id; "" for ids that add none or that no text can hold. */
class TokenTexts {
  public:
    explicit TokenTexts(const Tokenizer& tokenizer);
    const std::string& operator[](int32_t id) const;
    int32_t size() const { return static_cast<int32_t>(texts_.size()); }

  private:
    std::vector<std::string> texts_;
};

/** A grammar and the vocabulary it is followed with. Shared by the sequences of a pipeline. */
struct Constraint {
    std::shared_ptr<const Grammar> grammar;
    std::shared_ptr<const TokenTexts> texts;
    std::set<int32_t> eos;  ///< End tokens; they fit where the answer may end.
};

/** One answer under a constraint. */
class ConstrainedChoice {
  public:
    explicit ConstrainedChoice(std::shared_ptr<const Constraint> constraint);

    /** As Sampler::choose, among the tokens that fit; the grammar then stands behind the chosen one.
     *  @throws Error FAILED_PRECONDITION when no token of the vocabulary fits. */
    Choice choose(Sampler& sampler, std::span<const float> logits, std::span<const int32_t> history);

  private:
    bool fits(int32_t id) const;

    std::shared_ptr<const Constraint> constraint_;
    GrammarState state_;
    std::vector<float> masked_;
};

}  // namespace vlm
