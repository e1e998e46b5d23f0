/** @file stage_refuses.c
 *  An encoder that cannot be created and says why, as it may.
 */
#define CREATE failing_create
#include "sound_encoder.h"

static vlm_status failing_create(const vlm_component_config* config, vlm_component** component) {
    if (component != NULL) *component = NULL;
    if (config != NULL && config->struct_size != 0) say(config->reason, config->reason_size, "the tripod is missing");
    return VLM_STATUS_FAILED_PRECONDITION;
}
