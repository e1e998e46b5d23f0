/** @file component.h
 *  What all five plugin kinds share: the life of a component.
 *
 *      create → describe → load → (plan → run)* → destroy
 *
 *  `create` reads the configuration and nothing else, so that a pipeline can be type-checked before a single weight is
 * read. `load` packs weights. Both happen once per model; the component is then read-only and shared by all sessions.
 * What belongs to one conversation (the KV cache) is a *context* of the backbone.
 */
#ifndef VLM_COMPONENT_H_
#define VLM_COMPONENT_H_
#include <stdint.h>

#include "compute.h"
#include "plugin.h"
#include "status.h"
#include "version.h"
#include "weights.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A component of a plugin: opaque to the host. */
typedef struct vlm_component vlm_component;

/** What a component is made from. All texts are borrowed for the call. */
typedef struct vlm_component_config {
    uint32_t struct_size;      /**< sizeof(vlm_component_config) of the host. */
    uint32_t abi_version;      /**< VLM_ABI_VERSION of the host. */
    const vlm_host_info* host; /**< The host; only `log` may be called from `create`. */
    vlm_string config;       /**< JSON object: the section of the checkpoint's config.json that the recipe gives to this
                                stage,       with the recipe's and the manifest's `options` merged over it. */
    vlm_string model;        /**< JSON object: the whole config.json, or "{}". */
    vlm_string preprocessor; /**< JSON object: preprocessor_config.json (or the `image_processor` of
                                processor_config.json), or "{}". */
    char* reason;            /**< Buffer for a sentence that says why `create` fails. */
    uint64_t reason_size;    /**< Bytes of `reason`. */
} vlm_component_config;

/** The slots that every kind's table starts with. */
typedef struct vlm_component_api {
    uint32_t struct_size; /**< sizeof(vlm_component_api) of the plugin. */
    uint32_t abi_version; /**< The version that the plugin was compiled with. */

    /** Makes a component from its configuration. A key of `config` that the component does not support is refused by
     * name (INVALID_ARGUMENT), never ignored. [main] */
    vlm_status (*create)(const vlm_component_config* config, vlm_component** component);

    /** Reads and packs weights onto `run->compute`. UNIMPLEMENTED slots and NULL mean: no weights.
     *  [load: one thread at a time] */
    vlm_status (*load)(vlm_component* component, const vlm_run_context* run, const vlm_weights* weights);

    /** Frees everything. NULL is allowed.
     *  [main] */
    void (*destroy)(vlm_component* component);
} vlm_component_api;

#ifdef __cplusplus
}
#endif

#endif /* VLM_COMPONENT_H_ */
