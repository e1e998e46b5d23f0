/** @file reduce_one_at_a_time.c
 *  VLM-P-16: keeps its work in one place for all threads.
 */
#include <time.h>
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    static volatile int32_t busy;
    const int32_t mine = ++busy;
    const vlm_status status = sound_reduce(component, run, view, map);
    const struct timespec moment = {0, 2000000};
    nanosleep(&moment, NULL);
    if (busy != mine) map->group_count = 0;
    --busy;
    return status;
}
