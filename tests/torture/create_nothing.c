/** @file create_nothing.c
 *  VLM-P-07: create succeeds and makes nothing.
 */
#define CREATE empty_create
#include "sound.h"

static vlm_status empty_create(const vlm_component_config* config, vlm_component** component) {
    (void)config;
    if (component != NULL) *component = NULL;
    return VLM_STATUS_OK;
}
