/** @file stage_wrong_rows.c
 *  VLM-P-17: an encoder that fits models/rx-small and makes one row more than it planned.
 */
#define HIDDEN 256
#define CREATE lenient_create
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    (void)component, (void)run, (void)pixels;
    for (uint32_t i = 0; i < count; ++i) outputs[i]->rows = outputs[i]->features->view.shape[0] + 1;
    return VLM_STATUS_OK;
}

/** Takes whatever settings the model's own encoder would get. */
static vlm_status lenient_create(const vlm_component_config* config, vlm_component** component) {
    vlm_component_config plain = *config;
    plain.config.data = "{}";
    plain.config.size = 2;
    return sound_create(&plain, component);
}
