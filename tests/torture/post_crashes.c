/** @file post_crashes.c
 *  Falls over a NULL pointer in the middle of a run.
 */
#define PROCESS faulty_process
#include "sound_post.h"

static vlm_status faulty_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                 vlm_emit_json_fn emit, void* sink) {
    (void)component, (void)run, (void)input, (void)emit, (void)sink;
    volatile int* nowhere = NULL;
    return *nowhere;
}
