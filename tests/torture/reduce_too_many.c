/** @file reduce_too_many.c
 *  VLM-P-14: claims more groups than there are tokens.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const vlm_status status = sound_reduce(component, run, view, map);
    map->group_count = view->tokens + 5;
    return status;
}
