/** @file encoder_ignores_cancel.c
 *  VLM-P-10: goes on although it was cancelled.
 */
#include <time.h>
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    struct timespec while_long = {0, 700000000};
    if (run->is_cancelled(run->host)) nanosleep(&while_long, NULL);
    return sound_encode(component, run, count, pixels, outputs);
}
