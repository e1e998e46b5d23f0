/** @file kernels.hpp
 *  The innermost loops, as one table of functions per instruction set.
 *
 *  Everything dense is one shape of work: a block of rows times a *panel*, 32 outputs wide, whose memory is read from
 * front to back. Weights, cached keys and cached values are all stored as panels, so linear layers and both products of
 * attention share one kernel per element type. The panel layout is the same for every instruction set:
 *   - f32:  `[depth][32]`
 *   - bf16: `[depth / 2][32][2]`, pairs of consecutive depth, which is what vdpbf16ps and the AMX tiles read; unpacking
 * to f32 is a shift or a mask.
 *
 *  Every sum runs over the depth in rising order in one accumulator per output. So neither blocking, nor the number of
 * rows, nor the number of threads changes a bit of the result on a given instruction set.
 */
#pragma once
#include <cstdint>

#include "host/base/cpu_features.hpp"

namespace vlm::cpu {

/** Outputs of one panel. */
inline constexpr int64_t kPanel = 32;
/** Depth of bf16 panels is padded to this: one AMX tile of 32 pairs' halves. */
inline constexpr int64_t kPairDepth = 32;

/** `c[rows][32] (+)= a[rows][depth] panel`; `lda`, `ldc` in elements. */
using GemmF32 = void (*)(const float* a, int64_t lda, const float* panel, int64_t depth, float* c, int64_t ldc,
                         int64_t rows, bool accumulate);
/** The same with a bf16 panel that is widened to f32: exact products of f32 activations. */
using GemmF32Bf16 = void (*)(const float* a, int64_t lda, const uint16_t* panel, int64_t depth, float* c, int64_t ldc,
                             int64_t rows, bool accumulate);
/** The same with bf16 activations; `depth` is a multiple of kPairDepth and `a` is zero behind the true depth. `ahead`
 * is a panel that will be read after this one, as long; it is fetched meanwhile. NULL: none is known. */
using GemmBf16 = void (*)(const uint16_t* a, int64_t lda, const uint16_t* panel, int64_t depth, float* c, int64_t ldc,
                          int64_t rows, bool accumulate, const uint16_t* ahead);

/** One row of an epilogue: `out = residual + scale * act(sum + bias)`, or `… * (up + up_bias)` when gated. Pointers
 * other than `sum` and `out` may be NULL. */
struct EpilogueRow {
    const float* sum;
    const float* bias;
    const float* up;
    const float* up_bias;
    const float* scale;  ///< Per output; NULL: `scale_all`.
    const float* residual;
    float* out;
    int64_t n;
    uint32_t activation;  ///< VLM_ACT_*.
    float scale_all;
};

/** One row of a tile of attention logits. `logits[0, n)` become weights relative to the running maximum. */
struct SoftmaxStep {
    float* logits;
    int64_t n;
    float scale;
    float softcap;        ///< 0: none.
    const float* bias;    ///< Per key, or NULL.
    const uint8_t* mask;  ///< Per key, 0: invisible; or NULL.
    float maximum;        ///< In and out: running maximum, -infinity at first.
    float sum;            ///< In and out: running sum of weights.
    float correction;     ///< Out: what earlier weights have to be multiplied with.
};

/** Logits of a tile of attention in bf16: `logits[rows][64 p, 64 p + 64) = q keys` for each page p that is not NULL. */
struct ScoreTile {
    const uint16_t* q;  ///< `[rows][ldq]`, zero behind the head's elements.
    int64_t ldq;
    int64_t rows;
    int64_t depth;                 ///< Multiple of kPairDepth.
    const uint16_t* const* pages;  ///< Two panels of keys each, one behind the other.
    int64_t page_count;
    float* logits;
    int64_t ld;
    const void* ahead;  ///< What will be read after this, as long as a page; NULL: nothing.
};

/** Output of a tile of attention in bf16: `out[rows][32 panels] += weights values`. */
struct ValueTile {
    const uint16_t* weights;  ///< `[rows][ldw]`, 0 for keys that a row does not see.
    int64_t ldw;
    int64_t rows;
    const uint16_t* const* pages;  ///< `panels` panels of 64 values each, one behind the other.
    int64_t page_count;
    int64_t keys;  ///< Columns of `weights`, a multiple of kPairDepth: the last page may have 32.
    int64_t panels;
    float* out;
    int64_t ldo;
    const void* ahead;  ///< As in ScoreTile.
};

/** Up to 16 rows of a ScoreTile's logits become bf16 weights relative to their running maxima; 0 outside
 * [low, high), which may be empty. */
struct WeightTile {
    static constexpr int kRows = 16;
    int64_t rows;
    float* logits;  ///< `[rows][ld]`, overwritten.
    int64_t ld;
    uint16_t* weights;  ///< `[rows][ldw]`.
    int64_t ldw;
    int64_t low[kRows], high[kRows];
    int64_t columns;  ///< A multiple of 32.
    float scale;
    float softcap;               ///< 0: none.
    const float* bias;           ///< Per column, or NULL.
    const uint8_t* mask[kRows];  ///< Per column, 0: invisible; or NULL.
    const float* key_scales;     ///< Factors of logits per column, or NULL.
    const float* value_scales;   ///< Factors of weights per column, left out of their sum; or NULL.
    float* maximum;              ///< `[rows]`, in and out: running maxima, -infinity at first.
    float* sum;                  ///< `[rows]`, in and out: running sums of weights.
    float correction[kRows];     ///< Out: what earlier weights have to be multiplied with.
};

/** A panel of keys that is put together from columns of other panels and rotated, halves paired. */
struct KeyPanel {
    const void* columns[kPanel];  ///< Where each key begins in its panel (with pairs: its first pair).
    int64_t dim;                  ///< Elements of a key.
    int64_t rotary;               ///< Frequencies; even with pairs.
    const float* cos;             ///< `[rotary][ld]`, a column per key.
    const float* sin;
    int64_t ld;
    void* panel;
};

/** A query and a key that stands at `count` positions, halves paired: see merged_inl.hpp. */
struct MergedKey {
    const float* query;  ///< `[dim]`, turned to its own position.
    const float* key;    ///< `[dim]`, not turned.
    int64_t dim;
    int64_t rotary;    ///< Frequencies; what lies behind `2 * rotary` elements is not turned.
    const float* cos;  ///< `[positions][rotary]`
    const float* sin;
    const int32_t* positions;
    int64_t count;
    float* by_cos;  ///< Work space, `[rotary]` each.
    float* by_sin;
    float* logits;  ///< `[positions]`; only those of `positions` are written.
};

struct Kernels {
    Isa isa;
    GemmF32 gemm_f32;
    GemmF32Bf16 gemm_f32_bf16;
    GemmBf16 gemm_bf16;  ///< NULL where the processor cannot multiply bf16.
    void (*epilogue)(const EpilogueRow& row);
    void (*softmax_step)(SoftmaxStep& step);
    /** `y = act(x)`. */
    void (*activation)(uint32_t act, const float* x, float* y, int64_t n);
    /** gamma and beta may be NULL. */
    void (*layer_norm)(const float* x, const float* gamma, const float* beta, float eps, float* y, int64_t n);
    void (*rms_norm)(const float* x, const float* gamma, float eps, float offset, float* y, int64_t n);
    void (*l2_normalize)(const float* x, float eps, float* y, int64_t n);
    void (*softmax)(const float* x, float* y, int64_t n);
    /** `y = a + scale * b`. */
    void (*add)(const float* a, const float* b, float scale, float* y, int64_t n);
    /** `y = a * b`. */
    void (*multiply)(const float* a, const float* b, float* y, int64_t n);
    /** `y = scale * x`. */
    void (*scale)(const float* x, float scale, float* y, int64_t n);
    /** Rounds to nearest even. */
    void (*to_bf16)(const float* x, uint16_t* y, int64_t n);
    void (*to_f16)(const float* x, uint16_t* y, int64_t n);
    /** Rounds to whole numbers within [-127, 127] times the scale that it returns; 0 for a row of zeros, NaN for a row
     * with anything that is not finite. */
    float (*to_int8)(const float* x, int8_t* y, int64_t n);
    /** Widens from front to back, exactly; as much memory at `ahead` is fetched. `n` is a multiple of 64. */
    void (*f16_to_f32)(const uint16_t* x, float* y, int64_t n, const void* ahead);
    void (*int8_to_bf16)(const int8_t* x, uint16_t* y, int64_t n, const void* ahead);
    /** Rotates a row of `2 * half` elements, element i with i + half. `y` may be `x`. */
    void (*rotate)(const float* x, const float* cos, const float* sin, int64_t half, float* y);
    /** Fills a panel of keys in f32, or in pairs of bf16. */
    void (*gather_keys_f32)(const KeyPanel& panel);
    void (*gather_keys_bf16)(const KeyPanel& panel);
    /** A line of 32 pairs whose first halves are taken from the pairs of `a` (their second ones if `odd_a`) and whose
     * second halves from those of `b`. */
    void (*join_pairs)(const uint16_t* a, bool odd_a, const uint16_t* b, bool odd_b, uint16_t* out);
    /** Dot products of a query with a key at each of its positions. */
    void (*merged_logits)(const MergedKey& key);
    /** The three steps of attention in bf16; NULL where gemm_bf16 is. */
    void (*score_tile)(const ScoreTile& tile);
    void (*value_tile)(const ValueTile& tile);
    void (*weight_tile)(WeightTile& tile);
};

/** The table for `isa` (or the best level below it). */
const Kernels& kernels_for(Isa isa);
/** The table for active_isa(). */
const Kernels& kernels();

namespace detail {
const Kernels& scalar_kernels();
#if defined(__x86_64__)
const Kernels& avx2_kernels();
const Kernels& avx512_kernels();
/** avx512 with products in bf16. */
const Kernels& bf16_kernels();
#endif
}  // namespace detail

}  // namespace vlm::cpu
