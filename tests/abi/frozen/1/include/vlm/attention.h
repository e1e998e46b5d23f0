/** @file attention.h
 *  Attention, its mask rule, rotary tables and the key/value cache.
 *
 *  **The mask rule.** Row `i` sees the keys `key_begin[i] <= j < key_end[i]`. Two integers per row describe causal,
 * sliding-window, prefix (visual rows see all visual keys, text is causal), block-diagonal windows, packed batches and
 * "only the latest image", and a kernel can skip what is outside. A row with an empty range yields zeros. The rare rule
 * that is no range takes a dense mask.
 *
 *  **The cache.** Keys and values are kept per *context and layer* by the compute service, so that it may page, convert
 * or quantise them. Key index `j` counts all keys of that layer from the oldest on. Different layers may hold different
 * numbers of keys (pruning after layer K leaves later layers physically shorter).
 *
 *  **Virtual unmerging.** A merged row stands for several positions. With `key_rows` and `key_cos/key_sin` the cache
 * holds each merged row once, un-rotated, and the kernel walks the list of positions: key `j` is row `key_rows[j]`
 * rotated by its own table row. Rationale: other implementations expand the cache to all positions and so save nothing.
 */
#ifndef VLM_ATTENTION_H_
#define VLM_ATTENTION_H_
#include <stdint.h>

#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Row `i` of `n` sees all keys. */
#define VLM_MASK_FULL 0
/** Row `i` of `n` sees the keys up to its own: `j <= keys - n + i`. */
#define VLM_MASK_CAUSAL 1
/** `key_begin` and `key_end` say what row `i` sees. */
#define VLM_MASK_RANGES 2
/** `mask` says it, pair by pair. */
#define VLM_MASK_DENSE 3

/** A cache for all layers of one context. */
typedef struct vlm_kv_cache vlm_kv_cache;

/** Shape of a cache. */
typedef struct vlm_kv_spec {
    uint32_t struct_size; /**< sizeof(vlm_kv_spec) of the writer. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the writer. */
    int32_t layers;       /**< Number of layers. */
    int32_t kv_heads;     /**< Key/value heads. */
    int32_t head_dim;     /**< Elements of one head. */
    int32_t reserved;     /**< 0. */
    int64_t capacity;     /**< Largest number of keys per layer. Memory is taken as it is needed. */
} vlm_kv_spec;

/** One attention call: `out = softmax(scale * q k^T + bias, masked) v`, grouped-query when heads > kv_heads. */
typedef struct vlm_attention {
    uint32_t struct_size; /**< sizeof(vlm_attention) of the writer. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the writer. */
    const vlm_tensor* q;  /**< `[rows, heads, head_dim]`; may be a strided view of a fused projection. */
    const vlm_tensor*
        k; /**< `[new, kv_heads, head_dim]`, appended to the cache when there is one; NULL: only the cache. */
    const vlm_tensor* v;         /**< `[new, kv_heads, v_head_dim]`; NULL with `k`. */
    vlm_tensor* out;             /**< `[rows, heads, v_head_dim]`. */
    float scale;                 /**< Usually `head_dim ** -0.5`. */
    float logit_softcap;         /**< `c * tanh(logit / c)` before the mask; 0: none. */
    uint32_t mask_rule;          /**< VLM_MASK_*. */
    int32_t layer;               /**< Layer of the cache. */
    const vlm_tensor* key_begin; /**< `[rows]` i32 with VLM_MASK_RANGES; NULL: all 0. */
    const vlm_tensor* key_end;   /**< `[rows]` i32 with VLM_MASK_RANGES. */
    const vlm_tensor* mask;      /**< `[rows, keys]` u8, 1 = visible, with VLM_MASK_DENSE. */
    const vlm_tensor*
        key_bias;        /**< `[keys]` f32 added to the logits before the softmax (log of group sizes); NULL: none. */
    vlm_kv_cache* cache; /**< NULL: `k` and `v` are all keys. */
    const vlm_tensor* key_rows; /**< `[keys]` i32: cached row of each virtual key; NULL: key j is row j. */
    const vlm_tensor*
        key_cos; /**< `[keys, rotary_dim / 2]` f32: rotation of each key inside the kernel; NULL: rotated already. */
    const vlm_tensor* key_sin; /**< `[keys, rotary_dim / 2]` f32. */
    vlm_tensor*
        last_row_scores; /**< `[keys]` f32: softmax weights of the last row, mean over heads; NULL: not asked for. */
    vlm_tensor*
        weights; /**< `[rows, keys]` f32: softmax weights, mean over heads, for pictures; NULL: not asked for. */
} vlm_attention;

/** How positions become angles: `angle[i] = position[axis[i]] * inv_freq[i]`. One axis is plain RoPE, two are (row,
 * column) of a vision tower, three are the (time, row, column) of M-RoPE. Scaling kinds (linear, llama3, yarn, dynamic)
 * are in `inv_freq`. */
typedef struct vlm_rope_spec {
    uint32_t struct_size;    /**< sizeof(vlm_rope_spec) of the writer. */
    uint32_t abi_version;    /**< VLM_ABI_VERSION of the writer. */
    int32_t frequencies;     /**< rotary_dim / 2. */
    int32_t axes;            /**< Number of position axes, 1 to 3. */
    const float* inv_freq;   /**< `[frequencies]`. */
    const int32_t* axis;     /**< `[frequencies]`, 0 … axes-1; NULL: all 0. */
    float attention_scaling; /**< Factor on cos and sin (yarn); 1 otherwise. */
    uint32_t reserved;       /**< 0. */
} vlm_rope_spec;

#ifdef __cplusplus
}
#endif

#endif /* VLM_ATTENTION_H_ */
