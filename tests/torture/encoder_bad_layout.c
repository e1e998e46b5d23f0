/** @file encoder_bad_layout.c
 *  VLM-P-18: the layout has fewer tokens than there are features.
 */
#define PLAN faulty_plan
#include "sound_encoder.h"

static vlm_status faulty_plan(vlm_component* component, int32_t width, int32_t height, vlm_vision_plan* plan) {
    const vlm_status status = sound_plan(component, width, height, plan);
    if (status == VLM_STATUS_OK) ++plan->feature_rows;
    return status;
}
