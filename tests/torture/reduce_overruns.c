/** @file reduce_overruns.c
 *  VLM-P-13: writes one group too many.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const vlm_status status = sound_reduce(component, run, view, map);
    ((int32_t*)((char*)map->groups->view.data + map->groups->view.byte_offset))[view->tokens] = 0;
    return status;
}
