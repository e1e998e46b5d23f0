/** @file hooks.h
 *  Hooks and token maps: how a token reducer works with an encoder or backbone that it has never seen.
 *
 *  The owner of the tokens (an encoder, a backbone) offers *sites*. When a pipeline has a reducer for a site, the owner
 * passes a view of its tokens to `reduce` and gets a **token map** back: for every token the group that it merges into,
 * or -1 for "dropped". The owner applies the map with `scatter_mean` (weighted by `sizes`) and carries the sizes on.
 * Groups are numbered in the order that the tokens have afterwards.
 *
 *  Read backwards, the same map expands: the token at original position p lives on in row `map[p]` (virtual unmerging).
 *
 *  With no reducer, `run->hooks` is NULL and a hook costs one comparison.
 */
#ifndef VLM_HOOKS_H_
#define VLM_HOOKS_H_
#include <stdint.h>

#include "context.h"
#include "layout.h"
#include "status.h"
#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Inside an encoder layer, after the attention residual and before the MLP. */
#define VLM_SITE_ENCODER_LAYER 1
/** After the encoder, before the connector. */
#define VLM_SITE_ENCODER_OUTPUT 2
/** After the connector. */
#define VLM_SITE_CONNECTOR_OUTPUT 3
/** In a backbone, between layer `layer - 1` and `layer`, at prefill. */
#define VLM_SITE_BACKBONE_LAYER 4

/* What a reducer needs to see; the owner fills only these members of the view. */
#define VLM_NEED_HIDDEN 1u /**< `hidden`. */
#define VLM_NEED_KEYS 2u   /**< `keys`. */
#define VLM_NEED_SCORES 4u /**< `scores` and `score_sums`. */
/** Tokens of one image (encoder, connector sites) or one sequence (backbone site) at a hook. All tensors live on the
 * device of the run and are borrowed for the call. */
typedef struct vlm_token_view {
    uint32_t struct_size;     /**< sizeof(vlm_token_view) of the writer. */
    uint32_t abi_version;     /**< VLM_ABI_VERSION of the writer. */
    uint32_t site;            /**< VLM_SITE_*. */
    int32_t layer;            /**< Layer index from 0; -1 at the OUTPUT sites. */
    int32_t layers;           /**< Number of layers of the owner. */
    int32_t image;            /**< Index of the image in the request; -1 at the backbone site. */
    int64_t tokens;           /**< Number of tokens now. */
    int64_t protected_tokens; /**< This many tokens at the front (class token, registers) neither merge nor drop. */
    const vlm_tensor* hidden; /**< `[tokens, hidden]`, or NULL. */
    const vlm_tensor* keys;   /**< `[tokens, head_dim]` attention keys averaged over heads, before rotation, or NULL. */
    const vlm_tensor* scores; /**< `[tokens]` f32: attention of the last row in the previous layer, averaged over heads;
                                 a merged token has the mean over its positions. Or NULL. */
    const vlm_tensor* score_sums; /**< `[tokens]` f32: the same summed over positions. Or NULL. */
    const vlm_tensor* sizes;      /**< `[tokens]` f32: number of original tokens in each, or NULL: all 1. */
    const vlm_tensor* images;     /**< `[tokens]` i32: image of each token, -1 for text; NULL: all are `image`. */
    const vlm_tensor* origins; /**< `[tokens]` i32: first original position of each token in its image or sequence, or
                                  NULL: 0, 1, 2, … */
    const vlm_tensor* keep;    /**< `[tokens]` u8: 1 must not be dropped (print under `protect`), or NULL. */
    const vlm_token_layout* layout; /**< Layout of the image, or NULL. */
    const int32_t* host_images; /**< `[tokens]`: the numbers of `images` in host memory, where the owner has them, so
                                   that counting them needs no synchronisation; or NULL. */
    const uint8_t* host_keep;   /**< `[tokens]`: the same of `keep`, or NULL. */
} vlm_token_view;

/** The answer of a reducer. The host allocates it, with room for all tokens of the view, on the device of the run.
 * `compute` offers `merge_map` and `keep_map` to fill `groups` without reading anything back.
 *
 *  Rationale: `group_count` is a host number, because shapes are. With a fixed number of merges or a top-k it is known
 * without a synchronisation; only a threshold has to read one count back. */
typedef struct vlm_token_map {
    uint32_t struct_size; /**< sizeof(vlm_token_map) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    vlm_tensor*
        groups; /**< `[tokens]` i32: group of each token, 0 … group_count-1, or -1: dropped. No group is empty. */
    int64_t group_count; /**< Number of tokens afterwards; at least 1. */
} vlm_token_map;

/** The hook service, in the run context when the pipeline has reducers. */
typedef struct vlm_hooks {
    uint32_t struct_size; /**< sizeof(vlm_hooks) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    void* host;           /**< Opaque; first argument of the functions below. */

    /** What the reducers need at (`site`, `layer`): VLM_NEED_* flags, or 0 when none will act there. For the backbone
     * site, ask one layer ahead: scores are made by layer `layer - 1`. [run: one thread at a time] */
    uint32_t (*needs)(void* host, uint32_t site, int32_t layer, int32_t layers);

    /** Asks the reducers. Writes `*map`, valid until the next call; `*map` is NULL when nothing changes. The host has
     * checked it. [run: one thread at a time] */
    vlm_status (*reduce)(void* host, const vlm_run_context* run, const vlm_token_view* view, const vlm_token_map** map);
} vlm_hooks;

#ifdef __cplusplus
}
#endif

#endif /* VLM_HOOKS_H_ */
