/** @file leaks.c
 *  VLM-P-09: loses what it made.
 */
#define DESTROY forgetful_destroy
#include "sound.h"

static void forgetful_destroy(vlm_component* component) {
    (void)component;
}
