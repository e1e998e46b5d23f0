/** @file create_hangs.c
 *  VLM-P-07: never comes back from create.
 */
#define CREATE hanging_create
#include <unistd.h>

#include "sound.h"

static vlm_status hanging_create(const vlm_component_config* config, vlm_component** component) {
    (void)config, (void)component;
    while (pause() != 0) {
    }
    return VLM_STATUS_OK;
}
