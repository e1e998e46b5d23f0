/** @file null_description.c
 *  VLM-P-04: succeeds and returns nothing.
 */
#define OWN_ENTRY
#include "sound.h"

VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                       uint64_t reason_size) {
    (void)answer, (void)kPlugin, (void)host, (void)reason, (void)reason_size;
    if (plugin != NULL) *plugin = NULL;
    return VLM_STATUS_OK;
}
