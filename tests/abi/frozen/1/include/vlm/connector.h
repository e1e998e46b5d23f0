/** @file connector.h
 *  `vlm.connector/1`: features to visual tokens of the language model.
 *
 *  A linear projector, an MLP, a pixel shuffle, a Q-Former and a perceiver all fit: rows in, rows out, and a layout
 * that says what the new rows are. The connector also inserts what the checkpoint keeps for it (newline embeddings
 * between tile rows), because it owns those weights.
 */
#ifndef VLM_CONNECTOR_H_
#define VLM_CONNECTOR_H_
#include "component.h"
#include "layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Interface id. */
#define VLM_KIND_CONNECTOR "vlm.connector/1"

/** The visual tokens stand in the sequence. */
#define VLM_DELIVERY_INLINE 1
/** The visual tokens are memory for cross-attention layers. */
#define VLM_DELIVERY_CROSS_ATTENTION 2

/** What a connector takes and makes, known after `create`. */
typedef struct vlm_connector_description {
    uint32_t struct_size;  /**< sizeof(vlm_connector_description) of the host. */
    uint32_t abi_version;  /**< VLM_ABI_VERSION of the host. */
    int64_t input_size;    /**< Width of the features it takes; 0: any. */
    int64_t output_size;   /**< Width of the tokens it makes. */
    uint32_t delivery;     /**< VLM_DELIVERY_*. */
    uint32_t needs_grid;   /**< 1: works on the full grid, so no reducer may stand before it (pixel shuffle). */
    uint32_t reads_prompt; /**< 1: the output depends on the prompt (InstructBLIP), so it is not cached per image. */
    uint32_t reads_pooled; /**< 1: takes the pooled feature instead of the rows (CLIP). */
} vlm_connector_description;

/** Features of one image, as the encoder and the reducers left them. */
typedef struct vlm_connector_input {
    uint32_t struct_size;              /**< sizeof(vlm_connector_input) of the host. */
    uint32_t abi_version;              /**< VLM_ABI_VERSION of the host. */
    const vlm_tensor* features;        /**< `[rows, input_size]`. */
    const vlm_tensor* pooled;          /**< `[tiles, pooled_size]`, or NULL. */
    const vlm_token_layout* layout;    /**< Layout of the encoder's positions. */
    int32_t width;                     /**< Pixels of the source image (un-padding of tiles needs the aspect ratio). */
    int32_t height;                    /**< Pixels. */
    vlm_string prompt;                 /**< The prompt text of this image's request; empty unless `reads_prompt`. */
    const vlm_tensor* row_of_position; /**< `[layout.tokens]` i32 when rows were merged or dropped, else NULL. */
} vlm_connector_input;

/** What one image becomes. Lives until the next `plan` on the same thread. */
typedef struct vlm_connector_plan {
    uint32_t struct_size;           /**< sizeof(vlm_connector_plan) of the host. */
    uint32_t abi_version;           /**< VLM_ABI_VERSION of the host. */
    int64_t rows;                   /**< Rows of the output when nothing was reduced before. */
    int64_t workspace_bytes;        /**< Scratch memory of `connect` for this image. */
    const vlm_token_layout* layout; /**< Layout of the output positions. NULL: as the input's. */
} vlm_connector_plan;

/** The visual tokens of one image. The host allocates the tensor: planned rows, or the input's rows when the connector
 * works row by row on reduced features. */
typedef struct vlm_connector_output {
    uint32_t struct_size; /**< sizeof(vlm_connector_output) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    vlm_tensor* tokens;   /**< `[rows, output_size]`. */
    int64_t rows;         /**< Written by the plugin. */
    double confidence; /**< Written by the plugin when its checkpoint has a confidence head: 0 to 1; else left at -1. */
} vlm_connector_output;

/** The table. */
typedef struct vlm_connector {
    vlm_component_api base; /**< Common slots; `base.struct_size` is the size of this whole table. */

    /** Says what the connector takes and makes.
     *  [any] */
    vlm_status (*describe)(const vlm_component* component, vlm_connector_description* description);

    /** Plans the tokens of one image from the layout of its features and its size in pixels.
     *  [any] */
    vlm_status (*plan)(vlm_component* component, const vlm_token_layout* layout, int32_t width, int32_t height,
                       vlm_connector_plan* plan);

    /** Connects `count` images.
     *  [run: one thread at a time] */
    vlm_status (*connect)(vlm_component* component, const vlm_run_context* run, uint32_t count,
                          const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs);
} vlm_connector;

#ifdef __cplusplus
}
#endif

#endif /* VLM_CONNECTOR_H_ */
