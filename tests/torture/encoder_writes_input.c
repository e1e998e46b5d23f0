/** @file encoder_writes_input.c
 *  VLM-P-13: uses the pixels as scratch memory.
 */
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    const vlm_status status = sound_encode(component, run, count, pixels, outputs);
    if (status == VLM_STATUS_OK) ((float*)pixels[0]->view.data)[0] += 1;
    return status;
}
