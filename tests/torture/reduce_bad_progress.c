/** @file reduce_bad_progress.c
 *  VLM-P-23: counts down instead of up.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    for (uint64_t left = 4; left > 0; --left) run->progress(run->host, left, 4);
    return sound_reduce(component, run, view, map);
}
