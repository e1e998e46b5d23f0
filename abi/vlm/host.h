/** @file host.h
 *  The application API: what a program in any language uses of libvlmhost.
 *
 *      vlm_host_create → vlm_pipeline_open → vlm_session_create → vlm_generate → vlm_result_* → …_destroy
 *
 *  - Handles are opaque and counted: a pipeline stays alive while a session uses it, whichever is destroyed first.
 *  - Every function that can fail takes a `vlm_error**`. It may be NULL; else `*error` is set on failure and must be
 * freed with vlm_error_destroy.
 *  - Texts that a function returns live as long as the handle they come from.
 *
 *  Threads. Each function says in brackets who may call it:
 *  - [any]: any thread, also several at once on one handle. Sessions of one pipeline answer at the same time.
 *  - [session: one thread at a time]: a call that meets another one on the same session returns ABORTED. From inside a
 * callback of that call, too.
 *  - Destroying a handle while another thread is inside a call with this very handle is an error that nobody can catch.
 *  - Callbacks come on the thread that made the call, except the log, which comes from any thread. A callback must not
 * throw or unwind.
 */
#ifndef VLM_HOST_H_
#define VLM_HOST_H_
#include <stdint.h>

#include "status.h"
#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct vlm_host vlm_host;         /**< Settings, log and loaded plugins. */
typedef struct vlm_pipeline vlm_pipeline; /**< An opened manifest. */
typedef struct vlm_session vlm_session;   /**< One conversation. */
typedef struct vlm_result vlm_result;     /**< One answer. */
typedef struct vlm_error vlm_error;       /**< Why a call failed. */

/** Library version "0.1.0". [any] */
VLM_EXPORT const char* vlm_version(void);
/** VLM_ABI_VERSION that the library was built with. [any] */
VLM_EXPORT uint32_t vlm_abi_version(void);

/** Status code of an error. [any] */
VLM_EXPORT vlm_status vlm_error_code(const vlm_error* error);
/** Message of an error, UTF-8. [any] */
VLM_EXPORT const char* vlm_error_message(const vlm_error* error);
/** Frees an error; NULL is allowed. [any] */
VLM_EXPORT void vlm_error_destroy(vlm_error* error);
/** Name of a status code, "INVALID_ARGUMENT"; "INTERNAL" for a number that is none. [any] */
VLM_EXPORT const char* vlm_status_name(vlm_status status);

/** Receives log messages; `level` is VLM_LOG_* of context.h. Called from any thread, one at a time. It must not call
 * this library. */
typedef void (*vlm_log_fn)(void* user, int32_t level, const char* source, const char* message);
/** Receives progress of loading: bytes of the checkpoint's weights `done` of `total`, first with 0, last with all. */
typedef void (*vlm_progress_fn)(void* user, uint64_t done, uint64_t total);
/** Receives text while it is generated: complete UTF-8 characters, not NUL-terminated. Returning 0 stops the answer,
 * which then ends as if a stop string had come; after that it is not called again for this answer. */
typedef int32_t (*vlm_stream_fn)(void* user, const char* text, uint64_t size);
/** The same with the index of the answer (see vlm_result_answer_at), because the answers of a page that is read row by
 * row grow side by side. */
typedef int32_t (*vlm_answer_stream_fn)(void* user, uint64_t answer, const char* text, uint64_t size);

/** Settings of a host. */
typedef struct vlm_host_options {
    uint32_t struct_size;      /**< sizeof(vlm_host_options) of the caller. */
    uint32_t abi_version;      /**< VLM_ABI_VERSION of the caller. */
    const char* plugin_folder; /**< Searched before the usual places; may be NULL. */
    vlm_log_fn log; /**< NULL: as it is, at first warnings and errors to standard error. One log serves all hosts of a
                       process: the last host made with one receives it, until that host is destroyed. */
    void* user;     /**< First argument of `log`. */
} vlm_host_options;

/** Makes a host. `options` may be NULL.
 *  [any] */
VLM_EXPORT vlm_status vlm_host_create(const vlm_host_options* options, vlm_host** host, vlm_error** error);
/** Gives a host back; NULL is allowed. Its log callback is not called any more when this returns; so do not call it
 * from there. [any] */
VLM_EXPORT void vlm_host_destroy(vlm_host* host);

/** Opens a pipeline from a manifest file (JSON), or from a checkpoint folder. `progress` may be NULL.
 *  NOT_FOUND, INVALID_ARGUMENT, FAILED_PRECONDITION (the parts do not fit), RESOURCE_EXHAUSTED, …
 *  [any] */
VLM_EXPORT vlm_status vlm_pipeline_open(vlm_host* host, const char* path, vlm_progress_fn progress, void* user,
                                        vlm_pipeline** pipeline, vlm_error** error);
/** The same from manifest text; relative paths in it are relative to `base_folder`.
 *  [any] */
VLM_EXPORT vlm_status vlm_pipeline_open_json(vlm_host* host, const char* json, const char* base_folder,
                                             vlm_progress_fn progress, void* user, vlm_pipeline** pipeline,
                                             vlm_error** error);
/** Gives a pipeline back; NULL is allowed. [any] */
VLM_EXPORT void vlm_pipeline_destroy(vlm_pipeline* pipeline);

/** Starts a conversation.
 *  [any] */
VLM_EXPORT vlm_status vlm_session_create(vlm_pipeline* pipeline, vlm_session** session, vlm_error** error);
/** Ends a conversation; NULL is allowed. [any] */
VLM_EXPORT void vlm_session_destroy(vlm_session* session);

/** An image that the application gives: a file, encoded bytes, pixels, or a tensor. Exactly one of the four is set. It
 * is read during the call that gets it. */
typedef struct vlm_image_source {
    uint32_t struct_size;          /**< sizeof(vlm_image_source) of the caller. */
    uint32_t abi_version;          /**< VLM_ABI_VERSION of the caller. */
    const char* path;              /**< File name, or NULL. */
    const uint8_t* encoded;        /**< Bytes of a JPEG, PNG or WebP file, or NULL. */
    uint64_t encoded_size;         /**< Number of bytes. */
    const uint8_t* pixels;         /**< `[height, width, 3]` u8 RGB, or NULL. */
    int32_t width;                 /**< Of `pixels`. */
    int32_t height;                /**< Of `pixels`. */
    const char* name;              /**< For messages and results; may be NULL. */
    const vlm_tensor_view* tensor; /**< Or a DLPack tensor on the CPU, u8, with any strides: `[height, width]` gray,
                                      `[height, width, 1]` gray, `[…, 3]` RGB, `[…, 4]` RGBA; or NULL. */
} vlm_image_source;

/** Sampling and stopping. Zeroed members mean the manifest's value. */
typedef struct vlm_generation_options {
    uint32_t struct_size;     /**< sizeof(vlm_generation_options) of the caller. */
    uint32_t abi_version;     /**< VLM_ABI_VERSION of the caller. */
    int64_t max_new_tokens;   /**< Most tokens to generate. */
    float temperature;        /**< Negative: greedy. */
    int32_t top_k;            /**< Keep the k best; negative: off. */
    float top_p;              /**< Nucleus sampling. */
    float min_p;              /**< Relative to the best. */
    float repetition_penalty; /**< 1: off. */
    uint32_t stop_count;      /**< Number of stop strings. */
    uint64_t seed;            /**< Of the random numbers. */
    const char* const* stops; /**< Stop strings. */
} vlm_generation_options;

/** One turn of a conversation. */
typedef struct vlm_generate_request {
    uint32_t struct_size;                     /**< sizeof(vlm_generate_request) of the caller. */
    uint32_t abi_version;                     /**< VLM_ABI_VERSION of the caller. */
    const char* prompt;                       /**< UTF-8; NULL: the manifest's. */
    const vlm_image_source* const* images;    /**< Images of this turn. */
    uint32_t image_count;                     /**< Number of images. */
    uint32_t raw_prompt;                      /**< 1: no chat template. */
    const vlm_generation_options* generation; /**< NULL: the manifest's. */
    vlm_stream_fn stream;                     /**< NULL: no streaming. */
    void* user;                               /**< First argument of `stream` or `answer_stream`. */
    vlm_answer_stream_fn answer_stream;       /**< Instead of `stream`; NULL: none. */
    const char* const* texts;                 /**< Labels to compare images with, for models that embed; or NULL. */
    uint32_t text_count;                      /**< Number of labels. */
    uint32_t reserved;                        /**< 0. */
} vlm_generate_request;

/** Answers one turn. A turn that fails or is cancelled leaves the conversation as it was before.
 *  CANCELLED after vlm_cancel, ABORTED when the session is busy, RESOURCE_EXHAUSTED when the context is full, …
 *  [session: one thread at a time] */
VLM_EXPORT vlm_status vlm_generate(vlm_session* session, const vlm_generate_request* request, vlm_result** result,
                                   vlm_error** error);
/** Answers `count` requests that have nothing to do with each other together, which is faster than one by one. The
 * conversation of `session` is neither read nor changed; the session lends what vlm_cancel needs.
 *  @param generation for all of them; NULL: the manifest's. `generation` of each request must be NULL.
 *  @param results `count` places: all filled on success, all NULL on failure.
 *  [session: one thread at a time] */
VLM_EXPORT vlm_status vlm_generate_batch(vlm_session* session, const vlm_generate_request* const* requests,
                                         uint32_t count, const vlm_generation_options* generation, vlm_result** results,
                                         vlm_error** error);
/** Stops the call that runs on this session within one layer. When none runs, the next one returns CANCELLED at once,
 * so that a cancel that comes a moment early is not lost. Either way the call that meets it takes it down when it
 * returns. [any] */
VLM_EXPORT void vlm_cancel(vlm_session* session);
/** Takes back a vlm_cancel that no call has met.
 *  [any] */
VLM_EXPORT void vlm_cancel_reset(vlm_session* session);

/** One generated token. Texts live as long as the result. */
typedef struct vlm_result_token {
    uint32_t struct_size;  /**< sizeof(vlm_result_token) of the caller. */
    uint32_t abi_version;  /**< VLM_ABI_VERSION of the caller. */
    int32_t id;            /**< Token id. */
    float log_probability; /**< Natural logarithm. */
    vlm_string piece;      /**< Vocabulary piece. */
} vlm_result_token;

/** Text of the answer. [any] */
VLM_EXPORT vlm_string vlm_result_text(const vlm_result* result);
/** The whole result as JSON (docs/results.schema.json). [any] */
VLM_EXPORT vlm_string vlm_result_json(const vlm_result* result);
/** One value of that JSON, for languages without a JSON reader. `path` is a JSON pointer (RFC 6901), "/drugs/0/name".
 * Strings come as they are, without quotes; null as an empty text; everything else as JSON. The text lives as long as
 * the result. NOT_FOUND beyond the end of an array too, which is how to find it; INVALID_ARGUMENT for a malformed path.
 * [any] */
VLM_EXPORT vlm_status vlm_result_find(const vlm_result* result, const char* path, vlm_string* value);
/** Number of generated tokens. [any] */
VLM_EXPORT uint64_t vlm_result_token_count(const vlm_result* result);
/** Fills `token` (whose two leading members the caller has set). OUT_OF_RANGE beyond the end. [any] */
VLM_EXPORT vlm_status vlm_result_token_at(const vlm_result* result, uint64_t index, vlm_result_token* token);
/** Frees a result; NULL is allowed. [any] */
VLM_EXPORT void vlm_result_destroy(vlm_result* result);

/* Why an answer ended. */
#define VLM_FINISH_NONE 0        /**< The model does not generate. */
#define VLM_FINISH_STOP_TOKEN 1  /**< The model said that it is done. */
#define VLM_FINISH_STOP_STRING 2 /**< A stop string came, or the stream callback returned 0. */
#define VLM_FINISH_LENGTH 3      /**< `max_new_tokens`, or the context is full. */

/** One answer of a result: the only one, or that of one row of text of a page. Texts live as long as the result. */
typedef struct vlm_result_answer {
    uint32_t struct_size;  /**< sizeof(vlm_result_answer) of the caller. */
    uint32_t abi_version;  /**< VLM_ABI_VERSION of the caller. */
    vlm_string text;       /**< Without special tokens. */
    int32_t image;         /**< Index of the image of the request that it is about; -1: none, or all of them. */
    int32_t finish_reason; /**< VLM_FINISH_*. */
    float region[4];       /**< Left, top, right, bottom in pixels of that image. */
    uint64_t token_begin;  /**< Index of its first token for vlm_result_token_at. */
    uint64_t token_count;  /**< Number of its tokens. */
    double confidence;     /**< 0 to 1 when the model says one; else -1. */
} vlm_result_answer;

/** What a result cost. */
typedef struct vlm_result_usage {
    uint32_t struct_size;     /**< sizeof(vlm_result_usage) of the caller. */
    uint32_t abi_version;     /**< VLM_ABI_VERSION of the caller. */
    int64_t visual_tokens;    /**< Visual positions before any reduction. */
    int64_t merged_tokens;    /**< Fewer by merging. */
    int64_t pruned_tokens;    /**< Dropped. */
    int64_t text_tokens;      /**< Tokens of the prompt that are text. */
    int64_t generated_tokens; /**< Tokens of the answers. */
    int64_t reused_tokens;    /**< What the session had read in earlier turns. */
    int64_t kv_bytes;         /**< Size of the KV cache at the end. */
} vlm_result_usage;

/** Number of answers. [any] */
VLM_EXPORT uint64_t vlm_result_answer_count(const vlm_result* result);
/** Fills `answer` (whose two leading members the caller has set). OUT_OF_RANGE beyond the end. [any] */
VLM_EXPORT vlm_status vlm_result_answer_at(const vlm_result* result, uint64_t index, vlm_result_answer* answer);
/** Fills `usage` (whose two leading members the caller has set). [any] */
VLM_EXPORT vlm_status vlm_result_get_usage(const vlm_result* result, vlm_result_usage* usage);

/** A tensor that owns its memory. Layout-compatible with `DLManagedTensor` of DLPack, so NumPy and PyTorch take it over
 * without a copy, in a capsule named "dltensor". Whoever has it last calls `deleter`, once. */
typedef struct vlm_managed_tensor {
    vlm_tensor_view view;                               /**< Shape, type and memory. */
    void* owner;                                        /**< Private. */
    void (*deleter)(struct vlm_managed_tensor* tensor); /**< Frees the tensor. [any] */
} vlm_managed_tensor;

/** A tensor of a result, f32 on the CPU, sharing memory with the result and outliving it.
 *  @param name "image_embeddings" `[images, n]` (index 0) of models that embed; or "output" `[rows, n]` of answer
 * `index` of models that do not generate.
 *  NOT_FOUND when the result has no such tensor.
 *  [any] */
VLM_EXPORT vlm_status vlm_result_tensor(const vlm_result* result, const char* name, uint64_t index,
                                        vlm_managed_tensor** tensor, vlm_error** error);
/** The visual tokens of one image as the language model receives them, `[rows, width]` f32 on the CPU. The image is
 * taken whole, even when the manifest splits pages. Does not touch the conversation.
 *  @param prompt for connectors that read it; may be NULL.
 *  [session: one thread at a time] */
VLM_EXPORT vlm_status vlm_encode_image(vlm_session* session, const vlm_image_source* image, const char* prompt,
                                       vlm_managed_tensor** tokens, vlm_error** error);
/** A second tensor over the memory of one that this library made, freed on its own; NULL without memory. [any] */
VLM_EXPORT vlm_managed_tensor* vlm_managed_tensor_share(const vlm_managed_tensor* tensor);
/** Frees a tensor that was not handed on; NULL is allowed. [any] */
VLM_EXPORT void vlm_managed_tensor_destroy(vlm_managed_tensor* tensor);

#ifdef __cplusplus
}
#endif

#endif /* VLM_HOST_H_ */
