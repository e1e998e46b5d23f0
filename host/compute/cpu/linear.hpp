/** @file linear.hpp
 *  A packed layer, and which kernel multiplies it.
 */
#pragma once
#include <vlm/linear.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "host/compute/cpu/cpu_compute.hpp"
#include "host/compute/cpu/kernels.hpp"

/** The outputs are cut into one or two equal segments (two when their number is even, so that the gate and up halves
 * both begin on a panel), each padded to whole panels. */
struct vlm_linear {
    std::string name;
    int64_t in = 0, out = 0;
    vlm::WeightType type = vlm::WeightType::f32;
    int64_t segments = 1;
    int64_t segment_outputs = 0;  ///< out / segments.
    int64_t segment_panels = 0;   ///< Panels of one segment.
    int64_t depth = 0;            ///< `in`, padded for bf16 and integers.
    int64_t panel_bytes = 0;      ///< Bytes of one panel.
    std::unique_ptr<std::byte, void (*)(void*)> panels{nullptr, nullptr};
    std::vector<float> bias;  ///< `[segments * segment_panels * 32]`, or empty.
    int64_t bytes = 0;        ///< Memory of all this.

    const std::byte* panel(int64_t index) const { return panels.get() + index * panel_bytes; }
};

namespace vlm::cpu {

/** Goes up with every change of how panels look, so that those on disk are not taken for today's. */
constexpr int kPackingVersion = 2;

/** Up to so many rows, each has the bits that it has alone: products that sum otherwise (AMX, oneDNN, wide groups, f32
 * in the place of bytes) are for more. What CpuCompute::exact_rows promises. */
inline constexpr int64_t kExactRows = 16;

/** How activations are handed to a kernel. int8: rows as quant.hpp has them; `a` and `lda` are in bytes then. */
enum class ActivationForm { f32, bf16, int8 };

inline constexpr int64_t kWholeDepth = INT64_MAX;

/** The kernel for one call of linear. */
struct LinearKernel {
    const char* name;
    ActivationForm form;
    int64_t depth_block;  ///< Depth that is multiplied while one panel's part stays in a cache of the core;
                          ///< kWholeDepth: the kernel cuts the depth itself and is called once, with `begin` 0.
    /** `c[rows][32] (+)= a panel` for the depths [begin, begin + depth) of the panel. `ahead`: what will be multiplied
     * next, for fetching it; NULL: not known. */
    void (*multiply)(const Kernels& kernels, const void* a, int64_t lda, const std::byte* panel, int64_t begin,
                     int64_t depth, float* c, int64_t ldc, int64_t rows, bool accumulate, const std::byte* ahead);
};

inline bool is_quantised(WeightType type) noexcept {
    return type == WeightType::int8 || type == WeightType::int4;
}

/** Bits of a code of a quantised type. */
inline int64_t quant_bits(WeightType type) noexcept {
    return type == WeightType::int4 ? 4 : 8;
}

/** Writes rows [row, row + count) of panels [panel, panel + panels) from their sums in `tile`, rows `ldc` apart; when
 * gated, the sum of the up half stands `up` elements behind that of the gate half. */
using FinishBlock = std::function<void(int64_t row, int64_t count, int64_t panel, int64_t panels, const float* tile,
                                       int64_t ldc, int64_t up)>;

/** The next multiple of `step`. */
constexpr int64_t round_up(int64_t value, int64_t step) {
    return (value + step - 1) / step * step;
}

/** Picks the kernel for weights of `type` on this instruction set. @throws Error UNIMPLEMENTED when there is none. */
const LinearKernel& linear_kernel(WeightType type, Precision mode, const Kernels& kernels, int64_t rows);

}  // namespace vlm::cpu
