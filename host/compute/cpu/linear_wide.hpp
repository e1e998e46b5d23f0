/** @file linear_wide.hpp
 *  Linear layers of many rows with quantised weights, in wide groups (quant_wide_inl.hpp).
 */
#pragma once
#include "host/compute/cpu/linear.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

/** Whether a call is multiplied in wide groups: quantised weights, the mode bf16, kWideMinRows rows and more, and a
 * processor with instructions for it. */
bool takes_wide_groups(Precision mode, WeightType type, int64_t rows);

/** Multiplies rows [0, rows) of `x` with all panels and calls `finish` once for every block of the output, on the
 * threads of the pool. The cut depends on shapes only. */
void run_wide_blocks(State& state, const vlm_linear& layer, const Rows& x, int64_t rows, bool gated,
                     const FinishBlock& finish);

}  // namespace vlm::cpu
