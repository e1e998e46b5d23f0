/** @file vision_encoder.h
 *  `vlm.vision_encoder/1`: pixels to features.
 *
 *  The encoder owns preprocessing (crop, tiles, smart resize, padding, patches), built from the host's image service,
 * because only it knows how its checkpoint was trained. It says from an image's size alone what it will make (`plan`),
 * so the host can expand prompts, type-check a pipeline and plan memory before anything is decoded.
 */
#ifndef VLM_VISION_ENCODER_H_
#define VLM_VISION_ENCODER_H_
#include "component.h"
#include "hooks.h"
#include "image.h"
#include "layout.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Interface id. */
#define VLM_KIND_VISION_ENCODER "vlm.vision_encoder/1"

/** What an encoder makes, known after `create`. */
typedef struct vlm_vision_description {
    uint32_t struct_size;     /**< sizeof(vlm_vision_description) of the host. */
    uint32_t abi_version;     /**< VLM_ABI_VERSION of the host. */
    int64_t hidden_size;      /**< Width of a feature. */
    int64_t pooled_size;      /**< Width of the pooled feature (CLIP), 0: none. */
    int32_t layers;           /**< Number of transformer layers; 0 for a patcher. */
    uint32_t sites;           /**< Bit `1 << VLM_SITE_…` for each hook site offered. */
    int64_t max_image_tokens; /**< Most tokens that one image can become; -1: unknown. */
} vlm_vision_description;

/** What one image becomes. The layout and its blocks belong to the component and live until the next `plan` on the same
 * thread. */
typedef struct vlm_vision_plan {
    uint32_t struct_size; /**< sizeof(vlm_vision_plan) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    int32_t pixel_ndim;   /**< Dimensions of the pixel tensor. */
    uint32_t reserved;    /**< 0. */
    int64_t
        pixel_shape[VLM_MAX_DIMS]; /**< Shape of the pixel tensor (f32), as the reference processor's `pixel_values`. */
    int64_t feature_rows;          /**< Rows of the feature tensor when nothing is reduced. */
    int64_t pooled_rows;           /**< Rows of the pooled tensor: one per tile, 0: none. */
    int64_t workspace_bytes;       /**< Scratch memory of `encode` for this image. */
    const vlm_token_layout* layout; /**< Layout of the feature rows. */
} vlm_vision_plan;

/** Features of one image. The host allocates the tensors from the plan. */
typedef struct vlm_vision_output {
    uint32_t struct_size; /**< sizeof(vlm_vision_output) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    vlm_tensor* features; /**< `[feature_rows, hidden_size]`; the first `rows` rows are filled. */
    vlm_tensor* pooled;   /**< `[pooled_rows, pooled_size]`, or NULL. */
    int64_t rows;         /**< Written by the plugin: feature rows after reduction inside the tower. */
    vlm_tensor*
        row_of_position; /**< `[feature_rows]` i32 on the device: row that position p lives on in, -1: dropped. Filled
                            when `rows` differs from `feature_rows` or the order changed; else left alone. */
    vlm_tensor* sizes;   /**< `[feature_rows]` f32: positions per row; filled with `row_of_position`. */
    int32_t reduced;     /**< Written by the plugin: 1 when `row_of_position` and `sizes` are filled. */
    uint32_t reserved;   /**< 0. */
    int32_t* host_row_of_position; /**< `[feature_rows]` in host memory, or NULL: filled like `row_of_position` by an
                                      encoder that has the numbers there anyway, so that nobody reads them back; others
                                      leave all of it alone. */
} vlm_vision_output;

/** The table. */
typedef struct vlm_vision_encoder {
    vlm_component_api base; /**< Common slots; `base.struct_size` is the size of this whole table. */

    /** Says what the encoder makes.
     *  [any] */
    vlm_status (*describe)(const vlm_component* component, vlm_vision_description* description);

    /** Plans one image of `width` x `height` pixels, from its size alone. INVALID_ARGUMENT when the encoder cannot take
     * it. [any] */
    vlm_status (*plan)(vlm_component* component, int32_t width, int32_t height, vlm_vision_plan* plan);

    /** Makes the pixel tensor of one image: CPU memory, f32, the planned shape.
     *  [any] */
    vlm_status (*preprocess)(vlm_component* component, const vlm_run_context* run, const vlm_image* image,
                             vlm_tensor* pixels);

    /** Encodes `count` images. `pixels[i]` has the planned shape (CPU or device); `outputs[i]` is filled.
     *  [run: one thread at a time] */
    vlm_status (*encode)(vlm_component* component, const vlm_run_context* run, uint32_t count,
                         const vlm_tensor* const* pixels, vlm_vision_output* const* outputs);
} vlm_vision_encoder;

#ifdef __cplusplus
}
#endif

#endif /* VLM_VISION_ENCODER_H_ */
