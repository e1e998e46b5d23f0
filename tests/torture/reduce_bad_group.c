/** @file reduce_bad_group.c
 *  VLM-P-14: numbers its groups from 1.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const vlm_status status = sound_reduce(component, run, view, map);
    int32_t* groups = (int32_t*)((char*)map->groups->view.data + map->groups->view.byte_offset);
    for (int64_t i = 0; i < view->tokens; ++i)
        if (groups[i] >= 0) ++groups[i];
    return status;
}
