/** @file reduce_empty_group.c
 *  VLM-P-14: claims one group more than it fills.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const vlm_status status = sound_reduce(component, run, view, map);
    if (map->group_count < view->tokens) ++map->group_count;
    return status;
}
