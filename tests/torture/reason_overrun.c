/** @file reason_overrun.c
 *  VLM-P-03: refuses with a reason longer than its buffer.
 */
#define OWN_ENTRY
#include "sound.h"

VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                       uint64_t reason_size) {
    const vlm_status status = answer(host, plugin, NULL, 0);
    if (status != VLM_STATUS_OK && reason != NULL) memset(reason, 'x', (size_t)reason_size + 8);
    return status;
}
