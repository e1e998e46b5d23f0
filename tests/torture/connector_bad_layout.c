/** @file connector_bad_layout.c
 *  VLM-P-18: keeps the layout and plans more rows than it has tokens.
 */
#define PLAN faulty_plan
#include "sound_connector.h"

static vlm_status faulty_plan(vlm_component* component, const vlm_token_layout* layout, int32_t width, int32_t height,
                              vlm_connector_plan* plan) {
    const vlm_status status = sound_plan(component, layout, width, height, plan);
    plan->rows += 2;
    return status;
}
