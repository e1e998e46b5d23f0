/** @file context.h
 *  The run context: everything that a plugin may ask of the host while it runs.
 *
 *  Cancel and progress are here from version 1, because every project that lacked them had to bolt them on. A long loop
 * polls `is_cancelled` at least once per transformer layer or every 50 ms, whichever comes first (VLM-P-10).
 *
 *  A run context is valid for the call that received it and for the calls that this call makes.
 */
#ifndef VLM_CONTEXT_H_
#define VLM_CONTEXT_H_
#include <stdint.h>

#include "status.h"
#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Log levels. */
#define VLM_LOG_DEBUG 0   /**< For developers. */
#define VLM_LOG_INFO 1    /**< Worth knowing. */
#define VLM_LOG_WARNING 2 /**< Something is not as it should be; work goes on. */
#define VLM_LOG_ERROR 3   /**< Something failed. */
struct vlm_compute;       /* compute.h */
struct vlm_hooks;         /* hooks.h */

/** What the host offers during one call. */
typedef struct vlm_run_context {
    uint32_t struct_size; /**< sizeof(vlm_run_context) of the host. */
    uint32_t abi_version; /**< The version negotiated with this plugin. */
    void* host;           /**< Opaque; first argument of the functions below. */

    /** A device stream (`cudaStream_t`), or NULL. With a stream: enqueue on it and never synchronise. Without: finish
     * before returning. */
    void* stream;

    /** The operations of the device that this call runs on. Never NULL in run functions. */
    const struct vlm_compute* compute;

    /** The token reducers of the pipeline, or NULL when there are none. */
    const struct vlm_hooks* hooks;

    /** Returns 1 when the call should end with VLM_STATUS_CANCELLED, else 0.
     *  [any] */
    int32_t (*is_cancelled)(void* host);

    /** Reports work done, `done` of `total` in any unit of the caller's choice.
     *  [run: one thread at a time] */
    void (*progress)(void* host, uint64_t done, uint64_t total);

    /** Writes one message to the host's log. Plugins never print. `level` is VLM_LOG_*.
     *  [any] */
    void (*log)(void* host, int32_t level, const char* message);

    /** Error sink: says what a failing call is about to return and why. The last message before the return is reported.
     *  [any] */
    void (*error)(void* host, vlm_status code, const char* message);

    /** Shows an intermediate tensor under its reference name (`vision.last_hidden`, `llm.layer0`, …) to whoever
     * listens: parity checks, attention pictures. NULL when nobody listens, so that the usual run pays nothing. The
     * tensor is borrowed. [run: one thread at a time] */
    vlm_status (*tap)(void* host, const char* name, const vlm_tensor* tensor);
} vlm_run_context;

#ifdef __cplusplus
}
#endif

#endif /* VLM_CONTEXT_H_ */
