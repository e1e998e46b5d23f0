/** @file create_fails.c
 *  create fails with a reason, as it may.
 */
#define CREATE failing_create
#include "sound.h"

static vlm_status failing_create(const vlm_component_config* config, vlm_component** component) {
    if (component != NULL) *component = NULL;
    if (config != NULL && config->struct_size != 0)
        say(config->reason, config->reason_size, "the moon is in the wrong phase");
    return VLM_STATUS_FAILED_PRECONDITION;
}
