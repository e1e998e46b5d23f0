/** @file refuses.c
 *  Refuses every host, as a plugin of another ABI rightly does, and says why.
 */
#define OWN_ENTRY
#include "sound.h"

VLM_EXPORT vlm_status vlm_plugin_entry(const vlm_host_info* host, const vlm_plugin** plugin, char* reason,
                                       uint64_t reason_size) {
    (void)answer, (void)kPlugin, (void)host;
    if (plugin != NULL) *plugin = NULL;
    say(reason, reason_size, "this plugin needs a host of ABI version 7 or later; get one from example.com");
    return VLM_STATUS_UNIMPLEMENTED;
}
