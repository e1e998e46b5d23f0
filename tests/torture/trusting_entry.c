/** @file trusting_entry.c
 *  VLM-P-04: reads the host info without looking.
 */
#define OWN_ENTRY
#include "sound.h"

VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                       uint64_t reason_size) {
    (void)answer;
    if (host->abi_version_min > VLM_ABI_VERSION || host->abi_version_max < VLM_ABI_VERSION_MIN) {
        say(reason, reason_size, "speaks ABI version 1 only; use another host");
        return VLM_STATUS_UNIMPLEMENTED;
    }
    *plugin = &kPlugin;
    return VLM_STATUS_OK;
}
