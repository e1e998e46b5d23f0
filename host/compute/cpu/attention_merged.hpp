/** @file attention_merged.hpp
 *  Attention of few rows over merged keys, which a cache holds once for all their positions (virtual unmerging, arXiv
 * 2504.17040).
 */
#pragma once
#include "host/compute/cpu/attention.hpp"

namespace vlm::cpu {

/** Whether run_merged does the call: few rows, keys that are listed by row, of a type that is multiplied as it is
 * stored, and nobody who asks for the weights. Then no rotated copy of a key is made. */
bool folds_keys(const AttentionCall& call);

/** Logits per position, weights per row of the cache. A position's weight meets the value of its row, so the weights of
 * a row are added up first, and values are read once per row. Products and sums are f32; each query row is computed by
 * itself, whatever rows are beside it. */
void run_merged(State& state, const AttentionCall& call);

}  // namespace vlm::cpu
