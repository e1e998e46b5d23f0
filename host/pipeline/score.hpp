/** @file score.hpp
 *  Scoring a given answer: what a language model would have paid for it, token by token.
 *
 *  Only text is scored. A label is the next token's id where both a position and the one before it are text, so logits
 * of visual positions never enter, and the first text token behind an image is not scored.
 */
#pragma once
#include <cstdint>
#include <span>
#include <vector>

#include "host/base/tensor.hpp"
#include "host/pipeline/stages.hpp"

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

}  // namespace vlm
