/** @file post_hides_emit.c
 *  VLM-P-24: says that all is well when the host has not taken its result.
 */
#define PROCESS faulty_process
#include "sound_post.h"

static vlm_status faulty_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                 vlm_emit_json_fn emit, void* sink) {
    const vlm_status status = sound_process(component, run, input, emit, sink);
    return status == VLM_STATUS_INTERNAL ? VLM_STATUS_OK : status;
}
