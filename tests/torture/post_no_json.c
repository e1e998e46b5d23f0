/** @file post_no_json.c
 *  VLM-P-17: what it emits is no JSON object.
 */
#define PROCESS faulty_process
#include "sound_post.h"

static vlm_status faulty_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                 vlm_emit_json_fn emit, void* sink) {
    (void)component, (void)run, (void)input;
    return emit(sink, "[1, 2", 5);
}
