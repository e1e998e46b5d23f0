/** @file library.h
 *  What libvlm_compute_cuda.so shows the host: one function that opens a GPU.
 *
 *  The library is opened on demand, so a host without CUDA never looks for it. Host and library come from the same
 * build, and no C++ object and no exception crosses this edge: a host built by another compiler would still be able to
 * say that the two do not belong together.
 */
#ifndef VLM_HOST_COMPUTE_CUDA_LIBRARY_H_
#define VLM_HOST_COMPUTE_CUDA_LIBRARY_H_
#include <vlm/compute.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Changes whenever a struct of this file does. */
#define VLM_CUDA_LIBRARY_REVISION 4u
/** Name of the exported function. */
#define VLM_CUDA_LIBRARY_ENTRY "vlm_compute_cuda_open"

/** What to open. */
typedef struct vlm_cuda_request {
    uint32_t revision;   /**< VLM_CUDA_LIBRARY_REVISION of the host. */
    int32_t ordinal;     /**< Number of the GPU, from 0. */
    const char* dtype;   /**< "auto", "f32" or "bf16". */
    const char* weights; /**< "auto", "f32", "bf16", "f16", "int8", "int4" or "fp8". */
    const char* kv;      /**< "auto", or the dtype: keys and values are cached as they come. */
    /** Writes one message to the host's log; `level` is VLM_LOG_*. Must not be NULL. */
    void (*log)(int32_t level, const char* message);
    const char* const* rule_patterns; /**< Layers that are stored otherwise, see WeightRule; `rule_count` patterns. */
    const char* const* rule_types;    /**< Their types. */
    uint64_t rule_count;              /**< Number of rules. */
} vlm_cuda_request;

/** Counters since the device was opened; see DeviceCounters. */
typedef struct vlm_cuda_counters {
    double flops;             /**< Multiplications and additions of dense operations and attention. */
    int64_t weight_bytes;     /**< Packed weights and kept tensors. */
    int64_t peak_bytes;       /**< Most scratch memory in use at once. */
    int64_t synchronizations; /**< How often the host has waited for the device. */
    int64_t downloaded_bytes; /**< Copied to the host. */
    int64_t graph_launches;   /**< Steps that were launched as graphs. */
    int64_t graph_builds;     /**< Graphs made for that. */
} vlm_cuda_counters;

/** One of the largest logits of a row. */
typedef struct vlm_cuda_candidate {
    float logit;   /**< Its value. */
    int32_t index; /**< Its column; -1 in a row that has a NaN. */
} vlm_cuda_candidate;

/** An open GPU. */
typedef struct vlm_cuda_device {
    uint32_t revision;          /**< VLM_CUDA_LIBRARY_REVISION of the library. */
    uint32_t reserved;          /**< 0. */
    void* impl;                 /**< First argument of the functions below. */
    const vlm_compute* compute; /**< The table; valid until `close`. */
    void* stream;               /**< The `cudaStream_t` for run contexts. */
    const char* description;    /**< For people; valid until `close`. */

    /** Zeroed memory, or NULL and a message of at most `size` bytes. */
    void* (*allocate)(void* impl, int64_t bytes, char* message, uint64_t size);
    /** Gives memory of `allocate` back, in the order of the stream. */
    void (*release)(void* impl, void* memory);
    /** Frees what `run` has created and not destroyed. */
    void (*end_run)(void* impl, const vlm_run_context* run);
    void (*counters)(void* impl, vlm_cuda_counters* counters);
    /** Bytes that can still be taken, what the library keeps for later included, and bytes that the GPU has. */
    vlm_status (*memory)(void* impl, int64_t* free, int64_t* total);
    /** Said before each stage loads its weights; an empty stage at the end. `loaded`, if not NULL, is then told `host`
     * and how many bytes of the source each weight had that is on its way. [load: one thread at a time] */
    void (*begin_stage)(void* impl, const char* stage, void (*loaded)(void* host, uint64_t bytes), void* host);
    /** Waits for the device; a message of at most `size` bytes when something has failed on it. */
    vlm_status (*wait)(void* impl, char* message, uint64_t size);
    /** The `count` largest elements of the last row of each of `tensors` `[rows, n]` f32, best first, into `best`
     * `[tensor_count, count]`, and the logarithm of the sum of exp(element - largest) over that row into `log_sums`
     * `[tensor_count]`; waits. UNIMPLEMENTED when the kernels for it are not used on this GPU; a message of at most
     * `size` bytes when something has failed. [run] */
    vlm_status (*top_logits)(void* impl, const vlm_run_context* run, const vlm_tensor* const* tensors,
                             uint64_t tensor_count, int64_t count, vlm_cuda_candidate* best, double* log_sums,
                             char* message, uint64_t size);
    /** See DecodingDevice: `stream` becomes that for the calls of a step of `rows` rows, or NULL. A message of at most
     * `size` bytes when something before it has failed; then there is no step to end. [run] */
    vlm_status (*begin_step)(void* impl, int64_t rows, void** stream, char* message, uint64_t size);
    /** Ends the step that this thread has begun; 0: it is lost and has to be run again. [run] */
    int32_t (*end_step)(void* impl);
    /** Waits for the device and frees everything. */
    void (*close)(void* impl);
} vlm_cuda_device;

/** Opens a GPU. On failure `message` (of `size` bytes) says why in one sentence for people: UNAVAILABLE (no driver,
 * driver too old, no such device), INVALID_ARGUMENT (unknown dtype or weights), FAILED_PRECONDITION (another revision),
 * RESOURCE_EXHAUSTED. [any] */
typedef vlm_status (*vlm_cuda_open_function)(const vlm_cuda_request* request, vlm_cuda_device* device, char* message,
                                             uint64_t size);

#ifdef __cplusplus
}
#endif

#endif /* VLM_HOST_COMPUTE_CUDA_LIBRARY_H_ */
