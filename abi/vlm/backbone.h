/** @file backbone.h
 *  `vlm.backbone/1`: a sequence of text and visual tokens to logits or embeddings.
 *
 *  The host passes *segments* (some text ids, then image 0, then more ids) and the backbone looks text up in its own
 * table, takes the visual rows as they are and computes positions, masks and cross-attention by its own configuration:
 * it alone knows whether positions are 1-D or M-RoPE and whether visual tokens see each other. Manifests may override
 * the mask by option.
 *
 *  A context is one conversation: it holds the KV cache and the number of positions so far. Calls are batched from
 * version 1 on: one `run` takes the new tokens of any number of contexts, which is what continuous batching needs.
 */
#ifndef VLM_BACKBONE_H_
#define VLM_BACKBONE_H_
#include "component.h"
#include "connector.h"
#include "layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Interface id. */
#define VLM_KIND_BACKBONE "vlm.backbone/1"

/** Next-token logits: a language model. */
#define VLM_OUTPUT_LOGITS 1
/** One row of class scores per sequence (ViLT). */
#define VLM_OUTPUT_CLASSES 2
/** One embedding per sequence (a CLIP text tower); a post-processor compares it with the images. */
#define VLM_OUTPUT_EMBEDDING 3

/** What a backbone is, known after `create`. */
typedef struct vlm_backbone_description {
    uint32_t struct_size;       /**< sizeof(vlm_backbone_description) of the host. */
    uint32_t abi_version;       /**< VLM_ABI_VERSION of the host. */
    int64_t hidden_size;        /**< Width of the visual tokens that it takes; 0: any. */
    int64_t output_size;        /**< Columns of the output: vocabulary, classes or embedding width. */
    int64_t max_positions;      /**< Longest sequence; -1: no limit. */
    int32_t layers;             /**< Number of layers. */
    uint32_t output;            /**< VLM_OUTPUT_*. */
    uint32_t delivery;          /**< VLM_DELIVERY_* that it expects. */
    uint32_t sites;             /**< Bit `1 << VLM_SITE_…` for each hook site offered. */
    uint32_t takes_merged;      /**< 1: understands visual rows that stand for several positions (virtual unmerging). */
    uint32_t reserved;          /**< 0. */
    int64_t kv_bytes_per_token; /**< Cache bytes of one position over all layers in the cache's dtype; 0: no cache. */
} vlm_backbone_description;

/** One conversation. */
typedef struct vlm_backbone_context vlm_backbone_context;

/** The visual tokens of one image. */
typedef struct vlm_visual_input {
    uint32_t struct_size;              /**< sizeof(vlm_visual_input) of the host. */
    uint32_t abi_version;              /**< VLM_ABI_VERSION of the host. */
    const vlm_tensor* tokens;          /**< `[rows, hidden_size]`. */
    const vlm_token_layout* layout;    /**< Layout of the positions. */
    const vlm_tensor* row_of_position; /**< `[layout.tokens]` i32: row of each position, -1: dropped; NULL: identity. */
    const vlm_tensor* sizes;           /**< `[rows]` f32: positions per row; NULL: all 1. */
    const vlm_tensor* keep;            /**< `[layout.tokens]` u8: 1 must not be dropped (print), or NULL. */
    const int32_t* host_row_of_position; /**< `[layout.tokens]`: the numbers of `row_of_position` in host memory, where
                                            the host has them, so that nobody reads them back; or NULL. */
    const uint8_t* host_keep;            /**< `[layout.tokens]`: the same of `keep`, or NULL. */
} vlm_visual_input;

/** Text ids. */
#define VLM_SEGMENT_TEXT 1
/** Positions `first … first + count - 1` of an image's layout. */
#define VLM_SEGMENT_IMAGE 2

/** A piece of a sequence. */
typedef struct vlm_segment {
    uint32_t struct_size; /**< sizeof(vlm_segment) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    uint32_t kind;        /**< VLM_SEGMENT_*. */
    int32_t image;        /**< Index into `images`; -1 for text. */
    int64_t first;        /**< First position in the image; 0 for text. */
    int64_t count;        /**< Number of ids or positions. */
    const int32_t* ids;   /**< `[count]` for text, host memory; else NULL. */
    const vlm_tensor*
        device_ids; /**< `[count]` i32 on the device, instead of `ids` (decoding without a synchronisation), or NULL. */
} vlm_segment;

/** No logits: fill the cache only. */
#define VLM_LOGITS_NONE 0
/** Logits of the last row. */
#define VLM_LOGITS_LAST 1
/** Logits of every new row: scoring a given answer, speculative decoding, parity. */
#define VLM_LOGITS_ALL 2

/** New tokens of one context. */
typedef struct vlm_backbone_request {
    uint32_t struct_size;               /**< sizeof(vlm_backbone_request) of the host. */
    uint32_t abi_version;               /**< VLM_ABI_VERSION of the host. */
    vlm_backbone_context* context;      /**< The conversation; NULL for encoder-only backbones. */
    uint32_t segment_count;             /**< Number of segments. */
    uint32_t image_count;               /**< Number of images. */
    const vlm_segment* const* segments; /**< What comes now, in order. */
    const vlm_visual_input* const*
        images;          /**< Images of this request. With VLM_DELIVERY_CROSS_ATTENTION they are the memory, in the
                              order of their placeholders, and may be empty in later turns. */
    uint32_t logits;     /**< VLM_LOGITS_*. */
    uint32_t reserved;   /**< 0. */
    vlm_tensor* output;  /**< f32, `[rows, output_size]`; rows as planned; NULL with VLM_LOGITS_NONE. */
    int64_t output_rows; /**< Written by the plugin: rows filled (fewer than planned after merging or pruning). */
    vlm_tensor* row_of_output; /**< `[planned rows]` i32, CPU: input row of each output row (before pruning); NULL: not
                                  asked for. */
    vlm_tensor* hidden; /**< `[1, hidden_size]` f32: mean of the final hidden states, for confidence heads; NULL: not
                           asked for. */
    double confidence;  /**< Written by the plugin when its checkpoint has a confidence head; else left at -1. */
} vlm_backbone_request;

/** What a context holds. */
typedef struct vlm_backbone_state {
    uint32_t struct_size; /**< sizeof(vlm_backbone_state) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    int64_t tokens;       /**< Tokens taken so far, unmerged and unpruned: where `context_truncate` counts. */
    int64_t kv_bytes;     /**< Bytes of the cache now. */
    int64_t pruned;       /**< Visual positions dropped by backbone hooks so far. */
} vlm_backbone_state;

/** The table. */
typedef struct vlm_backbone {
    vlm_component_api base; /**< Common slots; `base.struct_size` is the size of this whole table. */

    /** Says what the backbone is.
     *  [any] */
    vlm_status (*describe)(const vlm_component* component, vlm_backbone_description* description);

    /** Makes a context for at most `max_tokens` tokens. NULL for encoder-only backbones.
     *  [run: one thread at a time] */
    vlm_status (*context_create)(vlm_component* component, const vlm_run_context* run, int64_t max_tokens,
                                 vlm_backbone_context** context);
    /** Frees a context. NULL is allowed.
     *  [run: one thread at a time] */
    void (*context_destroy)(vlm_component* component, vlm_backbone_context* context);
    /** Forgets everything from token `tokens` on (a rejected speculation, an edited turn). FAILED_PRECONDITION when a
     * merged or pruned prefix would have to be cut. [run: one thread at a time] */
    vlm_status (*context_truncate)(vlm_component* component, vlm_backbone_context* context, int64_t tokens);
    /** Says what a context holds.
     *  [run: one thread at a time] */
    vlm_status (*context_state)(const vlm_component* component, const vlm_backbone_context* context,
                                vlm_backbone_state* state);

    /** Rows of `output` that `request` can fill at most, and scratch bytes.
     *  [any] */
    vlm_status (*plan)(vlm_component* component, const vlm_backbone_request* request, int64_t* output_rows,
                       int64_t* workspace_bytes);

    /** Runs `count` requests, each with a context of its own. RESOURCE_EXHAUSTED when a context would overflow; then
     * none of them has changed. [run: one thread at a time] */
    vlm_status (*run)(vlm_component* component, const vlm_run_context* run, uint32_t count,
                      vlm_backbone_request* const* requests);
} vlm_backbone;

#ifdef __cplusplus
}
#endif

#endif /* VLM_BACKBONE_H_ */
