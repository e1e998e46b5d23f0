/** @file no_get_interface.c
 *  VLM-P-06: no way to ask for its tables.
 */
#define OWN_ENTRY
#include "sound.h"

VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                       uint64_t reason_size) {
    static vlm_plugin mute;
    const vlm_status status = answer(host, plugin, reason, reason_size);
    if (status != VLM_STATUS_OK) return status;
    mute = kPlugin;
    mute.get_interface = NULL;
    *plugin = &mute;
    return status;
}
