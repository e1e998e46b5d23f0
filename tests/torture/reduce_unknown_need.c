/** @file reduce_unknown_need.c
 *  VLM-P-17: asks for something that no host has.
 */
#define NEEDS faulty_needs
#include "sound.h"

static vlm_status faulty_needs(vlm_component* component, const vlm_run_context* run, uint32_t site, int32_t layer,
                               int32_t layers, uint32_t* needs) {
    const vlm_status status = sound_needs(component, run, site, layer, layers, needs);
    if (*needs != 0) *needs |= 1u << 20;
    return status;
}
