/** @file post_emits_twice.c
 *  VLM-P-17: gives two results.
 */
#define PROCESS faulty_process
#include "sound_post.h"

static vlm_status faulty_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                 vlm_emit_json_fn emit, void* sink) {
    const vlm_status status = sound_process(component, run, input, emit, sink);
    return status == VLM_STATUS_OK ? emit(sink, "{}", 2) : status;
}
