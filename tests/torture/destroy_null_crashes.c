/** @file destroy_null_crashes.c
 *  VLM-P-09: does not take NULL in destroy.
 */
#define DESTROY rude_destroy
#include "sound.h"

static void rude_destroy(vlm_component* component) {
    *(volatile char*)component = 0;
    free(component);
}
