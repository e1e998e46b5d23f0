/** @file unstable_entry.c
 *  VLM-P-02: answers with another description each time.
 */
#define OWN_ENTRY
#include "sound.h"

VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                       uint64_t reason_size) {
    static vlm_plugin copies[2];
    static int calls = 0;
    const vlm_status status = answer(host, plugin, reason, reason_size);
    if (status != VLM_STATUS_OK) return status;
    copies[calls % 2] = kPlugin;
    *plugin = &copies[calls++ % 2];
    return status;
}
