/** @file status.h
 *  Status codes and strings: how every function of this ABI says what happened.
 *
 *  The codes are the canonical gRPC / absl set, so that a reader who knows either needs no table. A function that fails
 * also sends one message to the error sink of the run context or host (see context.h); the code says *what kind*, the
 * message says *which file, which field, what was found, what was expected and what to do*.
 */
#ifndef VLM_STATUS_H_
#define VLM_STATUS_H_
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Result of a call: one of the VLM_STATUS_* values. Negative values are never used; unknown values count as INTERNAL.
 */
typedef int32_t vlm_status;

#define VLM_STATUS_OK 0                 /**< The call did what it says. */
#define VLM_STATUS_CANCELLED 1          /**< The caller asked to stop; outputs are undefined. */
#define VLM_STATUS_UNKNOWN 2            /**< A failure of no known kind, for example a foreign exception. */
#define VLM_STATUS_INVALID_ARGUMENT 3   /**< An argument, file or field is wrong whatever the state of the system. */
#define VLM_STATUS_DEADLINE_EXCEEDED 4  /**< A time limit passed. */
#define VLM_STATUS_NOT_FOUND 5          /**< A file, tensor, interface or plugin of that name does not exist. */
#define VLM_STATUS_ALREADY_EXISTS 6     /**< A name or id is taken. */
#define VLM_STATUS_PERMISSION_DENIED 7  /**< A trust or isolation policy refuses. */
#define VLM_STATUS_RESOURCE_EXHAUSTED 8 /**< Memory, context length or another limit would be passed. */
#define VLM_STATUS_FAILED_PRECONDITION                                                                             \
    9                                 /**< The call is right but comes at the wrong time, or the parts do not fit. \
                                       */
#define VLM_STATUS_ABORTED 10         /**< Given up because of a conflict with another call. */
#define VLM_STATUS_OUT_OF_RANGE 11    /**< An index or offset beyond the end. */
#define VLM_STATUS_UNIMPLEMENTED 12   /**< Not offered by this host, plugin, device or version. */
#define VLM_STATUS_INTERNAL 13        /**< A broken invariant: a bug in the callee. */
#define VLM_STATUS_UNAVAILABLE 14     /**< Not now: the device or child process is gone; trying again may help. */
#define VLM_STATUS_DATA_LOSS 15       /**< A file is truncated or corrupt. */
#define VLM_STATUS_UNAUTHENTICATED 16 /**< A signature is missing or wrong. */

/** A borrowed run of UTF-8 bytes inside a struct; may hold NUL bytes. `data` may be NULL when `size` is 0. Its lifetime
 * is stated where the struct is described. Function arguments use NUL-terminated `const char*` for ids and names
 * instead, since structs are never passed by value. */
typedef struct vlm_string {
    const char* data; /**< First byte. */
    uint64_t size;    /**< Length in bytes. */
} vlm_string;

#ifdef __cplusplus
}
#endif

#endif /* VLM_STATUS_H_ */
