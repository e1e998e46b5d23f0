/** @file reduce_ignores_cancel.c
 *  VLM-P-10: works on for two seconds when the user wants it to stop.
 */
#define REDUCE faulty_reduce
#include <time.h>

#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const struct timespec two_seconds = {2, 0};
    if (run->is_cancelled(run->host)) nanosleep(&two_seconds, NULL);
    return sound_reduce(component, run, view, map);
}
