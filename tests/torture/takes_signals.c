/** @file takes_signals.c
 *  VLM-P-12: takes a signal from the application.
 */
#define CREATE meddling_create
#include <signal.h>

#include "sound.h"

static vlm_status meddling_create(const vlm_component_config* config, vlm_component** component) {
    signal(SIGUSR1, SIG_IGN);
    return sound_create(config, component);
}
