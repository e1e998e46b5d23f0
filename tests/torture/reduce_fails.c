/** @file reduce_fails.c
 *  A run function that returns an error and says why.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    (void)component, (void)view, (void)map, (void)sound_reduce;
    run->error(run->host, VLM_STATUS_DATA_LOSS, "the table of thresholds is torn");
    return VLM_STATUS_DATA_LOSS;
}
