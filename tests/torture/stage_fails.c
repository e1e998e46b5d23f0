/** @file stage_fails.c
 *  An encoder that fits models/rx-small and says why it cannot encode, as a stage may.
 */
#define HIDDEN 256
#define CREATE lenient_create
#define ENCODE failing_encode
#include "sound_encoder.h"

static vlm_status failing_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    (void)component, (void)count, (void)pixels, (void)outputs;
    run->error(run->host, VLM_STATUS_UNAVAILABLE, "the lamp of the scanner is cold");
    return VLM_STATUS_UNAVAILABLE;
}

/** Takes whatever settings the model's own encoder would get. */
static vlm_status lenient_create(const vlm_component_config* config, vlm_component** component) {
    vlm_component_config plain = *config;
    plain.config.data = "{}";
    plain.config.size = 2;
    return sound_create(&plain, component);
}
