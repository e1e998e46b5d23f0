/** @file linear_amx.hpp
 *  Linear layers of many rows by the own AMX kernels.
 */
#pragma once
#include "host/compute/cpu/amx.hpp"
#include "host/compute/cpu/linear.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

/** The kernels that multiply this call, or NULL: the mode is not bf16, the weights are neither bf16 nor quantised,
 * oneDNN is asked for (for weights in bf16; it has no quantised ones), there are few rows, or there is no AMX. Weights
 * in bf16 are multiplied in bf16, quantised ones in int8, to the bit as without AMX.
 *  @param dense  as resolve_dense_engine returned it. */
const AmxKernels* amx_for(DenseEngine dense, Precision mode, WeightType type, int64_t rows);

/** Multiplies rows [0, rows) of `x` with all panels and calls `finish` once for every block of the output, on the
 * threads of the pool. The cut depends on shapes only. */
void run_amx_blocks(State& state, const AmxKernels& amx, const vlm_linear& layer, const Rows& x, int64_t rows,
                    bool gated, const FinishBlock& finish);

}  // namespace vlm::cpu
