/** @file host.h
 *  The application API: what a program in any language uses of libvlmhost.
 *
 *      vlm_host_create → vlm_pipeline_open → vlm_session_create → vlm_generate → vlm_result_* → …_destroy
 *
 *  - Handles are opaque and counted: a pipeline stays alive while a session uses it, whichever is destroyed first.
 *  - Every function that can fail takes a `vlm_error**`. It may be NULL; else `*error` is set on failure and must be
 * freed with vlm_error_destroy.
 *  - Texts that a function returns live as long as the handle they come from.
 *  - A host and a pipeline may be used from many threads; a session by one thread at a time, except vlm_cancel.
 */
#ifndef VLM_HOST_H_
#define VLM_HOST_H_
#include <stdint.h>

#include "status.h"
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

/** Receives log messages; `level` is VLM_LOG_* of context.h. Called from any thread, one at a time. */
typedef void (*vlm_log_fn)(void* user, int32_t level, const char* source, const char* message);
/** Receives progress of loading, `done` of `total`. */
typedef void (*vlm_progress_fn)(void* user, uint64_t done, uint64_t total);
/** Receives text while it is generated: complete UTF-8 characters, not NUL-terminated. Returning 0 stops the answer. */
typedef int32_t (*vlm_stream_fn)(void* user, const char* text, uint64_t size);

/** Settings of a host. */
typedef struct vlm_host_options {
    uint32_t struct_size;      /**< sizeof(vlm_host_options) of the caller. */
    uint32_t abi_version;      /**< VLM_ABI_VERSION of the caller. */
    const char* plugin_folder; /**< Searched before the usual places; may be NULL. */
    vlm_log_fn log; /**< NULL: warnings and errors to standard error. The log is shared by all hosts of a process. */
    void* user;     /**< First argument of `log`. */
} vlm_host_options;

/** Makes a host. `options` may be NULL.
 *  [any] */
VLM_EXPORT vlm_status vlm_host_create(const vlm_host_options* options, vlm_host** host, vlm_error** error);
/** Gives a host back; NULL is allowed. [any] */
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

/** An image that the application gives: a file, encoded bytes, or pixels. Exactly one of the three is set. */
typedef struct vlm_image_source {
    uint32_t struct_size;   /**< sizeof(vlm_image_source) of the caller. */
    uint32_t abi_version;   /**< VLM_ABI_VERSION of the caller. */
    const char* path;       /**< File name, or NULL. */
    const uint8_t* encoded; /**< Bytes of a JPEG, PNG or WebP file, or NULL. */
    uint64_t encoded_size;  /**< Number of bytes. */
    const uint8_t* pixels;  /**< `[height, width, 3]` u8 RGB, or NULL. */
    int32_t width;          /**< Of `pixels`. */
    int32_t height;         /**< Of `pixels`. */
    const char* name;       /**< For messages and results; may be NULL. */
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
    void* user;                               /**< First argument of `stream`. */
} vlm_generate_request;

/** Answers one turn. CANCELLED after vlm_cancel.
 *  [session: one thread at a time] */
VLM_EXPORT vlm_status vlm_generate(vlm_session* session, const vlm_generate_request* request, vlm_result** result,
                                   vlm_error** error);
/** Stops a running vlm_generate of this session within one layer. Does nothing when none runs.
 *  [any] */
VLM_EXPORT void vlm_cancel(vlm_session* session);

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
/** Number of generated tokens. [any] */
VLM_EXPORT uint64_t vlm_result_token_count(const vlm_result* result);
/** Fills `token` (whose two leading members the caller has set). OUT_OF_RANGE beyond the end. [any] */
VLM_EXPORT vlm_status vlm_result_token_at(const vlm_result* result, uint64_t index, vlm_result_token* token);
/** Frees a result; NULL is allowed. [any] */
VLM_EXPORT void vlm_result_destroy(vlm_result* result);

#ifdef __cplusplus
}
#endif

#endif /* VLM_HOST_H_ */
