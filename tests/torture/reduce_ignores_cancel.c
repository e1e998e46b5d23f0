/** @file reduce_ignores_cancel.c
 *  VLM-P-10: works on for two seconds, whatever the user wants.
 */
#define REDUCE faulty_reduce
#include <time.h>

#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const struct timespec two_seconds = {2, 0};
    nanosleep(&two_seconds, NULL);
    (void)run;
    return sound_reduce(component, run, view, map);
}
