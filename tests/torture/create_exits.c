/** @file create_exits.c
 *  VLM-P-12: ends the process in create.
 */
#define CREATE exiting_create
#include "sound.h"

static vlm_status exiting_create(const vlm_component_config* config, vlm_component** component) {
    (void)config, (void)component;
    _Exit(0);
}
