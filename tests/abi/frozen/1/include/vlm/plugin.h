/** @file plugin.h
 *  Entry and identity: the one symbol that a plugin exports, and what it tells about itself.
 *
 *  Negotiation: the host calls `vlm_plugin_entry` with the range of ABI versions that it speaks. The plugin answers
 * with a `vlm_plugin` whose `abi_version` is its choice inside that range, or returns VLM_STATUS_UNIMPLEMENTED and
 * writes a sentence that a person can act on into `reason`. Interfaces are then asked for by string id and revision
 * ("vlm.vision_encoder/1").
 *
 *  Rationale: "init is called once" proved impossible to promise in other plugin systems (two hosts in one process, a
 * scanner beside the real load). So the entry must be callable any number of times, from any thread, and returns the
 * same static data.
 */
#ifndef VLM_PLUGIN_H_
#define VLM_PLUGIN_H_
#include <stdint.h>

#include "status.h"
#include "version.h"

#ifdef __cplusplus
extern "C" {
#endif

/** What the host tells a plugin at the entry. Valid until the process ends. */
typedef struct vlm_host_info {
    uint32_t struct_size;     /**< sizeof(vlm_host_info) of the host. */
    uint32_t abi_version;     /**< VLM_ABI_VERSION of the host's headers. */
    uint32_t abi_version_min; /**< Oldest version that this host serves. */
    uint32_t abi_version_max; /**< Newest version that this host serves. */
    const char* name;         /**< For messages, "vlmhost". */
    const char* version;      /**< For messages, "0.1.0". */
    void* host;               /**< Opaque; first argument of the functions below. */

    /** Returns a service table by id ("vlm.image/1", "vlm.text/1"), or NULL when this host has no such service. The
     * table lives until the process ends. May be called from `load` and run functions, not from `create`. [any] */
    const void* (*get_service)(void* host, const char* id);

    /** Writes one message to the host's log; `level` is VLM_LOG_* of context.h.
     *  [any] */
    void (*log)(void* host, const char* plugin_id, int32_t level, const char* message);
} vlm_host_info;

/** What a plugin is. Static data: valid until the process ends, the same at every call. */
typedef struct vlm_plugin {
    uint32_t struct_size; /**< sizeof(vlm_plugin) of the plugin. */
    uint32_t abi_version; /**< The version that the plugin chose. */
    const char* id;       /**< Reverse-DNS id, "org.vlmhost.vit". */
    const char* name;     /**< For people, "Vision transformer". */
    const char* vendor;   /**< Who answers for it. */
    const char* version;  /**< Semantic version, "1.2.0". */
    const char* license;  /**< SPDX expression. */
    const char* url;      /**< Where to read more. */
    const char*
        capabilities; /**< JSON object: "kinds", "architectures", "devices", "dtypes", "hooks", "deterministic". */

    /** Returns the table of an interface by id and revision ("vlm.connector/1"), or NULL. The table is static data.
     *  [any] */
    const void* (*get_interface)(const char* id);
} vlm_plugin;

/** The exported symbol. Writes the plugin's description into `*plugin`, or returns VLM_STATUS_UNIMPLEMENTED (no common
 * version) or VLM_STATUS_INVALID_ARGUMENT with a sentence in `reason` (a buffer of `reason_size` bytes,
 * NUL-terminated). [any] */
typedef vlm_status (*vlm_plugin_entry_fn)(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                          uint64_t reason_size);

/** Name of the exported symbol, for loaders. */
#define VLM_PLUGIN_ENTRY_SYMBOL "vlm_plugin_entry"

#ifdef __cplusplus
}
#endif

#endif /* VLM_PLUGIN_H_ */
