/** @file post_hangs.c
 *  Never ends.
 */
#include <unistd.h>

#define PROCESS faulty_process
#include "sound_post.h"

static vlm_status faulty_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                 vlm_emit_json_fn emit, void* sink) {
    (void)component, (void)run, (void)input, (void)emit, (void)sink;
    while (getpid() > 0) pause();
    return VLM_STATUS_OK;
}
