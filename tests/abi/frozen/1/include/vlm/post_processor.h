/** @file post_processor.h
 *  `vlm.post_processor/1`: what was generated to what the user asked for.
 *
 *  Drugs with confidences, a 7-vector of robot joints, boxes, a ranking of labels: the answers differ too much for a
 * struct, so they are JSON, and the host merges what each post-processor writes into the result.
 */
#ifndef VLM_POST_PROCESSOR_H_
#define VLM_POST_PROCESSOR_H_
#include "component.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Interface id. */
#define VLM_KIND_POST_PROCESSOR "vlm.post_processor/1"

/** One generated token. */
typedef struct vlm_token_piece {
    uint32_t struct_size;  /**< sizeof(vlm_token_piece) of the host. */
    uint32_t abi_version;  /**< VLM_ABI_VERSION of the host. */
    int32_t id;            /**< Token id. */
    float log_probability; /**< Natural logarithm of its probability under the model, before temperature. */
    vlm_string piece;      /**< The vocabulary piece ("<s_name>", "▁the"). */
    int64_t text_begin;    /**< Byte range of this token in `text` … */
    int64_t text_end;      /**< … half open; empty for a token that is not shown. */
} vlm_token_piece;

/** One answer: of a whole image, or of one row of text when the pipeline cuts pages into rows. */
typedef struct vlm_answer {
    uint32_t struct_size;                 /**< sizeof(vlm_answer) of the host. */
    uint32_t abi_version;                 /**< VLM_ABI_VERSION of the host. */
    vlm_string text;                      /**< Generated text, special tokens kept. */
    uint32_t token_count;                 /**< Number of generated tokens. */
    int32_t image;                        /**< Image that the answer belongs to, -1: none. */
    const vlm_token_piece* const* tokens; /**< Generated tokens. */
    float region[4];          /**< Left, top, right, bottom in pixels of the image: where the answer was read. */
    const vlm_tensor* output; /**< Raw backbone output on the CPU, f32, for backbones that do not generate (classes `[1,
                                 n]`, embeddings
                                   `[texts, n]`), or NULL. */
    const vlm_tensor* image_embeddings; /**< `[images, n]` f32 on the CPU beside an embedding backbone, or NULL. */
    double confidence;                  /**< From a confidence head; -1: none. */
} vlm_answer;

/** What a post-processor sees: all answers about one page or request. */
typedef struct vlm_post_input {
    uint32_t struct_size;             /**< sizeof(vlm_post_input) of the host. */
    uint32_t abi_version;             /**< VLM_ABI_VERSION of the host. */
    uint32_t answer_count;            /**< Number of answers, in reading order. */
    uint32_t prompt_count;            /**< Number of prompts. */
    const vlm_answer* const* answers; /**< The answers. */
    const vlm_string* prompts;        /**< The prompts as given (labels of a zero-shot classification). */
    vlm_string result;                /**< JSON object: what earlier post-processors wrote. */
} vlm_post_input;

/** Receives JSON: an object whose members are merged into the result. Called exactly once by a successful `process`. */
typedef vlm_status (*vlm_emit_json_fn)(void* sink, const char* json, uint64_t size);

/** The table. */
typedef struct vlm_post_processor {
    vlm_component_api base; /**< Common slots; `base.struct_size` is the size of this whole table. */

    /** Turns answers into members of the result.
     *  [run: one thread at a time] */
    vlm_status (*process)(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                          vlm_emit_json_fn emit, void* sink);
} vlm_post_processor;

#ifdef __cplusplus
}
#endif

#endif /* VLM_POST_PROCESSOR_H_ */
