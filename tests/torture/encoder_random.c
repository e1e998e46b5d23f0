/** @file encoder_random.c
 *  VLM-P-15: adds noise.
 */
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    static int calls;
    const vlm_status status = sound_encode(component, run, count, pixels, outputs);
    float* features = (float*)((char*)outputs[0]->features->view.data + outputs[0]->features->view.byte_offset);
    if (status == VLM_STATUS_OK) features[0] += (float)++calls;
    return status;
}
