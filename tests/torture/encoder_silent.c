/** @file encoder_silent.c
 *  VLM-P-22: fails and does not say why.
 */
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    if (pixels[0]->view.ndim != 4) return VLM_STATUS_INVALID_ARGUMENT;
    return sound_encode(component, run, count, pixels, outputs);
}
