/** @file image.h
 *  Decoded images and the image service `vlm.image/1`.
 *
 *  Preprocessing decides whether a model reads small print, and it is where runtimes differ most from the reference. So
 * the encoder says *what* to do (it knows its checkpoint) and the host does it, bit-equal with Pillow: a separable
 * filter with antialiasing, horizontal pass first, each pass rounded to 8 bits.
 */
#ifndef VLM_IMAGE_H_
#define VLM_IMAGE_H_
#include <stdint.h>

#include "status.h"
#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Id of the image service. */
#define VLM_SERVICE_IMAGE "vlm.image/1"

/* Resampling filters, numbered as in Pillow and in preprocessor_config.json. */
#define VLM_RESAMPLE_NEAREST 0  /**< Nearest pixel. */
#define VLM_RESAMPLE_LANCZOS 1  /**< Lanczos, three lobes. */
#define VLM_RESAMPLE_BILINEAR 2 /**< Triangle. */
#define VLM_RESAMPLE_BICUBIC 3  /**< Cubic with a = -0.5. */
#define VLM_RESAMPLE_BOX 4      /**< Mean of the pixels under the target. */
#define VLM_RESAMPLE_HAMMING 5  /**< Hamming window. */
/** An RGB image, upright (EXIF applied), transparency composited on white. */
typedef struct vlm_image {
    uint32_t struct_size;  /**< sizeof(vlm_image) of the writer. */
    uint32_t abi_version;  /**< VLM_ABI_VERSION of the writer. */
    int32_t width;         /**< Pixels, at least 1. */
    int32_t height;        /**< Pixels, at least 1. */
    const uint8_t* pixels; /**< `[height, width, 3]` u8 RGB, compact. */
    const char* source;    /**< File name or other origin, for messages; may be NULL. */
} vlm_image;

/** The image service. Every function writes into memory of the caller and is deterministic. */
typedef struct vlm_image_service {
    uint32_t struct_size; /**< sizeof(vlm_image_service) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */

    /** Resizes `src` `[src_height, src_width, 3]` to `dst` `[dst_height, dst_width, 3]`, both u8. `filter` is
     * VLM_RESAMPLE_*. INVALID_ARGUMENT for sizes below 1 or an unknown filter. [any] */
    vlm_status (*resize)(const uint8_t* src, int32_t src_width, int32_t src_height, uint8_t* dst, int32_t dst_width,
                         int32_t dst_height, int32_t filter);

    /** Copies the window whose upper left corner is (`left`, `top`) of `src` into `dst`; parts outside `src` (the
     * corner may be negative) become `fill` (three bytes). Serves both cropping and padding. [any] */
    vlm_status (*window)(const uint8_t* src, int32_t src_width, int32_t src_height, int32_t left, int32_t top,
                         uint8_t* dst, int32_t dst_width, int32_t dst_height, const uint8_t* fill);

    /** Writes `(value * rescale - mean[c]) / std[c]` as `[3, height, width]` f32, in the float32 arithmetic of the
     * reference processors. [any] */
    vlm_status (*normalize)(const uint8_t* src, int32_t width, int32_t height, double rescale, const float* mean,
                            const float* std, float* dst);
} vlm_image_service;

#ifdef __cplusplus
}
#endif

#endif /* VLM_IMAGE_H_ */
