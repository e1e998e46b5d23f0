/** @file encoder_hides_reducers.c
 *  VLM-P-24: goes on without the token reducers when they have failed, and tells nobody.
 */
#define ENCODE faulty_encode
#include "sound_encoder.h"

static vlm_status faulty_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    const vlm_status status = sound_encode(component, run, count, pixels, outputs);
    if (run->hooks == NULL || status != VLM_STATUS_OK) return status;
    if ((run->hooks->needs(run->hooks->host, VLM_SITE_ENCODER_LAYER, 0, 1) & VLM_NEED_HIDDEN) == 0) return status;
    const vlm_token_view view = {.struct_size = sizeof view,
                                 .abi_version = VLM_ABI_VERSION,
                                 .site = VLM_SITE_ENCODER_LAYER,
                                 .layers = 1,
                                 .tokens = outputs[0]->rows,
                                 .hidden = outputs[0]->features};
    const vlm_token_map* map = NULL;
    (void)run->hooks->reduce(run->hooks->host, run, &view, &map);
    return status;
}
