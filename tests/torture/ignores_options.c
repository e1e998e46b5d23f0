/** @file ignores_options.c
 *  VLM-P-07: takes any configuration without looking.
 */
#define CREATE careless_create
#include "sound.h"

static vlm_status careless_create(const vlm_component_config* config, vlm_component** component) {
    if (config == NULL || component == NULL || config->struct_size == 0) return VLM_STATUS_INVALID_ARGUMENT;
    *component = malloc(16);
    return VLM_STATUS_OK;
}
