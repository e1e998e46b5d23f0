/** @file encoder_overruns.c
 *  VLM-P-13: writes behind its features.
 */
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    const vlm_status status = sound_encode(component, run, count, pixels, outputs);
    float* features = (float*)((char*)outputs[0]->features->view.data + outputs[0]->features->view.byte_offset);
    if (status == VLM_STATUS_OK) features[outputs[0]->rows * kHidden] = 1;
    return status;
}
