/** @file reduce_unknown_status.c
 *  VLM-P-22: fails with a status that nobody knows, without a word.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    (void)component, (void)view, (void)map, (void)run, (void)sound_reduce;
    return 4711;
}
