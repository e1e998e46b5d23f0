/** @file encoder_hides_failure.c
 *  VLM-P-24: says that all is well when a service has failed.
 */
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    const vlm_status status = sound_encode(component, run, count, pixels, outputs);
    return status == VLM_STATUS_RESOURCE_EXHAUSTED ? VLM_STATUS_OK : status;
}
