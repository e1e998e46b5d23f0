/** @file sets_environment.c
 *  VLM-P-12: tells other libraries of the process how to behave.
 */
#define CREATE meddling_create
#include <stdlib.h>

#include "sound.h"

static vlm_status meddling_create(const vlm_component_config* config, vlm_component** component) {
    setenv("OMP_NUM_THREADS", "1", 1);
    return sound_create(config, component);
}
