/** @file post_leaks_on_failure.c
 *  VLM-P-24: forgets its scratch memory when the host does not take its result.
 */
#define PROCESS faulty_process
#include "sound_post.h"

static vlm_status faulty_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                 vlm_emit_json_fn emit, void* sink) {
    char* const scratch = malloc(1000);
    if (scratch == NULL) return VLM_STATUS_RESOURCE_EXHAUSTED;
    *(volatile char*)scratch = 1;
    const vlm_status status = sound_process(component, run, input, emit, sink);
    if (status != VLM_STATUS_INTERNAL) free(scratch);
    return status;
}
