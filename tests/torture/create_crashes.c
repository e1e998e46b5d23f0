/** @file create_crashes.c
 *  VLM-P-07: dies in create.
 */
#define CREATE crashing_create
#include "sound.h"

static vlm_status crashing_create(const vlm_component_config* config, vlm_component** component) {
    (void)config, (void)component;
    abort();
}
