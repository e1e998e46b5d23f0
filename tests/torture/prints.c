/** @file prints.c
 *  VLM-P-11: greets the user.
 */
#define CREATE chatty_create
#include "sound.h"

static vlm_status chatty_create(const vlm_component_config* config, vlm_component** component) {
    puts("Hello from a plugin!");
    return sound_create(config, component);
}
