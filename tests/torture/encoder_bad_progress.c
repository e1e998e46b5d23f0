/** @file encoder_bad_progress.c
 *  VLM-P-23: is more than done.
 */
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    const vlm_status status = sound_encode(component, run, count, pixels, outputs);
    run->progress(run->host, count + 1, count);
    return status;
}
