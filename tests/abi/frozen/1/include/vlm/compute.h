/** @file compute.h
 *  The compute service: the tensor operations that a plugin builds its model from.
 *
 *  A plugin links neither oneDNN nor CUDA. It calls this table, so one binary runs on every device that a host has.
 * Operations are the ones that vision-language models consist of, at the size at which fusing pays.
 *
 *  Rules of all operations:
 *  - The first argument is the table itself. `run` is the context of the current call (stream, cancel, errors).
 *  - Outputs are allocated by the caller (`create`) and may alias an input only where it is said.
 *  - Activations have the dtype `activation_dtype`; norm weights, biases, tables and scores are f32; indices are i32.
 *  - Shapes are checked; a wrong one is INVALID_ARGUMENT with a message that names the operation and both shapes.
 *  - Results are deterministic. On the CPU in f32 mode they do not depend on the number of threads.
 *  - `[run]` means: from run functions, one thread at a time per run context; different contexts at once are fine.
 */
#ifndef VLM_COMPUTE_H_
#define VLM_COMPUTE_H_
#include <stdint.h>

#include "attention.h"
#include "context.h"
#include "linear.h"
#include "status.h"
#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Interpolation of `interpolate`. BILINEAR and BICUBIC (a = -0.75) sample as torch.nn.functional.interpolate does. */
#define VLM_INTERPOLATE_BILINEAR 1 /**< Linear in both directions. */
#define VLM_INTERPOLATE_BICUBIC 2  /**< See VLM_INTERPOLATE_BILINEAR. */
/* Order of the elements of one flattened patch. */
#define VLM_PATCH_CHANNEL_FIRST 0 /**< Elements in the order [channel, y, x]: equals a convolution. */
#define VLM_PATCH_CHANNEL_LAST 1  /**< Elements in the order [y, x, channel] (Fuyu). */

typedef struct vlm_compute vlm_compute; /**< The compute service of one device. */

/** The table. */
struct vlm_compute {
    uint32_t struct_size;      /**< sizeof(vlm_compute) of the host. */
    uint32_t abi_version;      /**< VLM_ABI_VERSION of the host. */
    void* impl;                /**< Private to the device. */
    vlm_device device;         /**< Where tensors live. */
    uint32_t activation_dtype; /**< VLM_DTYPE_* of activations. */
    uint32_t reserved;         /**< 0. */

    /* ---- memory ---- */

    /** Allocates an uninitialised compact tensor from the scratch memory of the context. RESOURCE_EXHAUSTED when the
     * plan is exceeded. Freed by `destroy`, or by the host when the run function returns. [run] */
    vlm_status (*create)(const vlm_compute* self, const vlm_run_context* run, uint32_t dtype, int32_t ndim,
                         const int64_t* shape, vlm_tensor** tensor);
    /** Gives scratch memory back early. NULL is allowed.
     *  [run] */
    void (*destroy)(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* tensor);
    /** Allocates a tensor that lives until `release`, and copies the CPU tensor `source` into it, converted to `dtype`:
     * norm weights, tables. [load: one thread at a time] */
    vlm_status (*keep)(const vlm_compute* self, const vlm_tensor* source, uint32_t dtype, vlm_tensor** tensor);
    /** Frees a tensor made by `keep`. NULL is allowed.
     *  [load: one thread at a time] */
    void (*release)(const vlm_compute* self, vlm_tensor* tensor);
    /** Copies `src` to `dst` of the same element count, converting the dtype; either may be strided or on the CPU. A
     * copy to the CPU finishes before it returns, even with a stream. [run] */
    vlm_status (*copy)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, vlm_tensor* dst);
    /** Sets all elements to `value`.
     *  [run] */
    vlm_status (*fill)(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* dst, double value);

    /* ---- dense ---- */

    /** Packs a linear layer. The handle lives until `linear_release`.
     *  [load: one thread at a time] */
    vlm_status (*linear_pack)(const vlm_compute* self, const vlm_linear_spec* spec, vlm_linear** linear);
    /** Frees a packed layer. NULL is allowed.
     *  [load: one thread at a time] */
    void (*linear_release)(const vlm_compute* self, vlm_linear* linear);
    /** `y = epilogue(x W^T + b)`: `x` `[rows, in]`, `y` `[rows, out]`; rows may be strided. `epilogue` may be NULL.
     *  [run] */
    vlm_status (*linear)(const vlm_compute* self, const vlm_run_context* run, const vlm_linear* linear,
                         const vlm_tensor* x, const vlm_epilogue* epilogue, vlm_tensor* y);
    /** `c = alpha * a op(b)` over equal leading dimensions: `a` `[…, m, k]`, `b` `[…, k, n]`, or `[…, n, k]` when
     * `transpose_b` is 1, `c` `[…, m, n]`. [run] */
    vlm_status (*matmul)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                         int32_t transpose_b, float alpha, vlm_tensor* c);

    /* ---- attention ---- */

    /** See attention.h.
     *  [run] */
    vlm_status (*attention)(const vlm_compute* self, const vlm_run_context* run, const vlm_attention* args);
    /** Makes a cache. [run] */
    vlm_status (*kv_create)(const vlm_compute* self, const vlm_kv_spec* spec, vlm_kv_cache** cache);
    /** Frees a cache. NULL is allowed. [run] */
    void (*kv_destroy)(const vlm_compute* self, vlm_kv_cache* cache);
    /** Number of keys that `layer` holds. [run] */
    int64_t (*kv_length)(const vlm_compute* self, const vlm_kv_cache* cache, int32_t layer);
    /** Forgets all keys of `layer` from index `length` on. [run] */
    vlm_status (*kv_truncate)(const vlm_compute* self, vlm_kv_cache* cache, int32_t layer, int64_t length);
    /** Bytes that the keys and values held now take, over all layers. [run] */
    int64_t (*kv_bytes)(const vlm_compute* self, const vlm_kv_cache* cache);

    /* ---- positions ---- */

    /** Computes `cos` and `sin` `[n, frequencies]` f32 from `positions` `[axes, n]` i32 (or f32 for fractional
     * positions). [run] */
    vlm_status (*rope_table)(const vlm_compute* self, const vlm_run_context* run, const vlm_rope_spec* spec,
                             const vlm_tensor* positions, vlm_tensor* cos, vlm_tensor* sin);
    /** Rotates the first `2 * frequencies` elements of each head of `x` `[n, heads, head_dim]` in place (strided views
     * allowed). `interleaved` 0: element i pairs with i + frequencies ("rotate half"); 1: 2i pairs with 2i + 1. [run]
     */
    vlm_status (*rope)(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* x, const vlm_tensor* cos,
                       const vlm_tensor* sin, int32_t interleaved);
    /** Resamples a grid of embeddings `src` `[height, width, dim]` to `dst` `[new_height, new_width, dim]`, both f32.
     * `mode` is VLM_INTERPOLATE_*; `align_corners` and `antialias` are 0 or 1, as in torch. [run] */
    vlm_status (*interpolate)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, int32_t mode,
                              int32_t align_corners, int32_t antialias, vlm_tensor* dst);

    /* ---- row-wise ---- */

    /** `y = (x - mean) / sqrt(var + eps) * gamma + beta` over the last dimension; `gamma`, `beta` `[dim]` f32, each may
     * be NULL. `y` may be `x`. [run] */
    vlm_status (*layer_norm)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                             const vlm_tensor* gamma, const vlm_tensor* beta, float eps, vlm_tensor* y);
    /** `y = x / sqrt(mean(x^2) + eps) * (offset + gamma)` over the last dimension; `gamma` may be NULL (then 1).
     * `offset` is 1 for Gemma, else 0. `y` may be `x`. [run] */
    vlm_status (*rms_norm)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                           const vlm_tensor* gamma, float eps, float offset, vlm_tensor* y);
    /** `y = x / max(||x||_2, eps)` over the last dimension. `y` may be `x`. [run] */
    vlm_status (*l2_normalize)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, float eps,
                               vlm_tensor* y);
    /** Softmax over the last dimension. `y` may be `x`. [run] */
    vlm_status (*softmax)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* y);
    /** `y = act(x)`, element by element; `activation` is VLM_ACT_*. `y` may be `x`. [run] */
    vlm_status (*activation)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                             uint32_t activation, vlm_tensor* y);
    /** `y = a + scale * b`. `b` has the shape of `a`, or the shape of its last dimensions (broadcast over rows). `y`
     * may be `a`. [run] */
    vlm_status (*add)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                      float scale, vlm_tensor* y);
    /** `y = a * b`, broadcast as in `add`. `y` may be `a`. [run] */
    vlm_status (*multiply)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a,
                           const vlm_tensor* b, vlm_tensor* y);

    /* ---- rows in and out ---- */

    /** `y[i] = x[rows[i]]`: `x` `[n, …]`, `rows` `[m]` i32, `y` `[m, …]` of the activation dtype; a negative row yields
     * zeros. `x` may have any float dtype, so an embedding table stays as the file has it. [run] */
    vlm_status (*gather)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                         const vlm_tensor* rows, vlm_tensor* y);
    /** `y[g] = sum(w[i] x[i]) / sum(w[i])` over all i with `groups[i] == g`; negative groups are dropped, an empty
     * group yields zeros. `weights` `[n]` f32 may be NULL (then 1). Sums run in index order: no atomics, same bits
     * every time. [run] */
    vlm_status (*scatter_mean)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                               const vlm_tensor* groups, const vlm_tensor* weights, vlm_tensor* y);
    /** `y[j, …] = x` with dimensions permuted: dimension d of `y` is dimension `axes[d]` of `x`.
     *  [run] */
    vlm_status (*permute)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const int32_t* axes,
                          vlm_tensor* y);
    /** Cuts `pixels` `[images, channels, height, width]` f32 into `y` `[images * rows * columns, channels * patch *
     * patch]`, raster order. A rest smaller than a patch is left out, as a convolution does. `order` is VLM_PATCH_*.
     *  [run] */
    vlm_status (*patches)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* pixels,
                          int32_t patch_height, int32_t patch_width, int32_t order, vlm_tensor* y);
    /** `y[…] = mean of x over dimension axis`. [run] */
    vlm_status (*mean)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t axis,
                       vlm_tensor* y);

    /* ---- selection and token maps (hooks.h) ---- */

    /** Largest value and its first index along the last dimension: `x` `[rows, n]`, `values` `[rows]` f32, `indices`
     * `[rows]` i32. [run] */
    vlm_status (*argmax)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* values,
                         vlm_tensor* indices);
    /** The `k` largest of each row in falling order; ties: lower index first. `values` `[rows, k]`, `indices` `[rows,
     * k]`. [run] */
    vlm_status (*top_k)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t k,
                        vlm_tensor* values, vlm_tensor* indices);
    /** Bipartite merging (ToMe, arXiv 2210.09461) as a token map. Of `n` tokens the even ones propose: token `2i`
     * offers itself to token `2 * partners[i] + 1` with `scores[i]` (both `[(n + 1) / 2]`). Accepted are the proposals
     * with a score strictly above `threshold`, best first (ties: lower index), at most `limit`; the first
     * `protected_tokens` propose nothing. Surviving even tokens come first in their order, then all odd ones. Writes
     * `groups` `[n]` i32 and `*group_count`. With a threshold of -infinity nothing is read back from the device. [run]
     */
    vlm_status (*merge_map)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                            const vlm_tensor* partners, float threshold, int64_t limit, int64_t protected_tokens,
                            vlm_tensor* groups, int64_t* group_count);
    /** Pruning as a token map: of the tokens with `droppable[i] != 0` (`[n]` u8) the `keep` with the largest `scores`
     * `[n]` stay (ties: lower index first), as do all others; order is kept. `groups` `[n]` i32. [run] */
    vlm_status (*keep_map)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                           const vlm_tensor* droppable, int64_t keep, vlm_tensor* groups);
    /** Carries what goes with `n` tokens through the map `groups` `[n]` i32 to `g` groups, without reading anything
     * back. `sizes` `[n]` f32 and `origins` `[n]` i32 are those before (NULL: all 1, and 0, 1, 2, …; then
     * `row_of_position` is taken as the identity too). Writes `new_sizes` `[g]` f32 (sums), `log_sizes` `[g]` f32
     * (their natural logarithm), `new_origins` `[g]` i32 (smallest of the group) and replaces each `row_of_position[p]`
     * `[positions]` i32 by the group of that row (-1 stays -1). [run] */
    vlm_status (*carry_map)(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* groups,
                            const vlm_tensor* sizes, const vlm_tensor* origins, vlm_tensor* row_of_position,
                            vlm_tensor* new_sizes, vlm_tensor* log_sizes, vlm_tensor* new_origins);

    /* ---- planning ---- */

    /** Bytes that one position takes over all layers of a cache of this shape (`capacity` does not matter), in the type
     * that this device stores keys and values in; -1 for a spec that kv_create refuses. May be called without a run.
     * [any] */
    int64_t (*kv_token_bytes)(const vlm_compute* self, const vlm_kv_spec* spec);
};

#ifdef __cplusplus
}
#endif

#endif /* VLM_COMPUTE_H_ */
