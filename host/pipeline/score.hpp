/** @file score.hpp
 *  Scoring a given answer: what a language model would have paid for it, token by token.
 *
 *  Only text is scored. A label is the next token's id where both a position and the one before it are text, so logits
 * of visual positions never enter, and the first text token behind an image is not scored.
 */
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "host/base/tensor.hpp"
#include "host/base/trace.hpp"
#include "host/pipeline/pipeline.hpp"

namespace vlm {

/** A position that carries no label. */
inline constexpr int32_t kNoLabel = -100;

/** Label of every position of `segments` (text ids where they are scored, else kNoLabel). The first `skip_text` text
 * tokens are read but not scored: the prompt in front of an answer. */
std::vector<int32_t> text_labels(std::span<const Segment> segments, int64_t skip_text);

/** Log-probability (natural) of each label, in order of the labels: `logits` `[rows, vocabulary]` f32 on the CPU,
 * `row_of_output` `[rows]` i32 the position of each row; row p predicts the label of position p + 1. Labels whose row
 * is missing are left out. Throws INVALID_ARGUMENT for a label outside the vocabulary. */
std::vector<double> label_log_probabilities(const Tensor& logits, const Tensor& row_of_output,
                                            std::span<const int32_t> labels);

/** Mean of `-log_probabilities`; 0 when there is none. */
double mean_loss(std::span<const double> log_probabilities);

/** A sequence whose end is to be scored. */
struct GivenSequence {
    std::vector<Segment> segments;
    std::vector<std::shared_ptr<const VisualTokens>> images;
    int64_t prompt_text = 0;  ///< Text tokens in front that are read but not scored.
};

/** Log-probabilities of the scored tokens of each sequence, in order; all sequences are read together, at most the
 * manifest's `batch` at a time. Throws RESOURCE_EXHAUSTED for a sequence beyond the model's context. */
std::vector<std::vector<double>> score_sequences(const Pipeline& pipeline, Run& run,
                                                 std::span<const GivenSequence> sequences);

/** What an answer costs. */
struct Score {
    std::string answer;
    std::vector<TokenPiece> tokens;  ///< The scored tokens.
    double loss = 0;                 ///< Mean of `-log_probability` over them: what training minimises.
    int64_t prompt_tokens = 0;       ///< Text of the prompt, not scored.
    int64_t visual_tokens = 0;       ///< Not scored.
};

/** Scores each of `answers` as the continuation of `request`; images are encoded once. `end`: end-of-sequence belongs
 * to the answer. Throws UNIMPLEMENTED for a backbone that does not generate, INVALID_ARGUMENT for an empty answer. */
std::vector<Score> score_answers(const Pipeline& pipeline, const Request& request,
                                 const std::vector<std::string>& answers, bool end, const Listeners& listeners = {},
                                 Trace* trace = nullptr);

}  // namespace vlm
