/** @file weights.h
 *  The weights service: a plugin's share of a checkpoint.
 *
 *  A plugin asks for tensors by the names of its own architecture ("encoder.layers.0.self_attn.q_proj.weight"). The
 * recipe of the model family tells the host which prefixes those have in the file, so that one plugin reads the hub
 * spelling, the spelling of newer libraries and a vendor's own. Tensors are views of the mapped file: reading one takes
 * no memory, and they live as long as the model.
 */
#ifndef VLM_WEIGHTS_H_
#define VLM_WEIGHTS_H_
#include <stdint.h>

#include "status.h"
#include "tensor.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A plugin's view of a checkpoint. */
typedef struct vlm_weights {
    uint32_t struct_size; /**< sizeof(vlm_weights) of the host. */
    uint32_t abi_version; /**< VLM_ABI_VERSION of the host. */
    void* host;           /**< Opaque; first argument of the functions below. */

    /** Finds a tensor. Writes a CPU tensor in the dtype of the file, or returns VLM_STATUS_NOT_FOUND and leaves
     * `*tensor` NULL (no error message is recorded: many tensors are optional). The tensor lives as long as the model.
     *  [load: one thread at a time] */
    vlm_status (*find)(void* host, const char* name, const vlm_tensor** tensor);

    /** Number of tensors that are visible through this view.
     *  [load: one thread at a time] */
    uint64_t (*count)(void* host);

    /** Name of tensor `index` as `find` takes it, valid as long as the model; NULL beyond the end.
     *  [load: one thread at a time] */
    const char* (*name)(void* host, uint64_t index);

    /** Reads a small text file that lies beside the checkpoint (a thresholds table, a vocabulary). `path` is relative
     * and may not leave the folder. Writes a borrowed text that lives until the next call, or returns
     * VLM_STATUS_NOT_FOUND. [load: one thread at a time] */
    vlm_status (*read_file)(void* host, const char* path, vlm_string* text);
} vlm_weights;

#ifdef __cplusplus
}
#endif

#endif /* VLM_WEIGHTS_H_ */
