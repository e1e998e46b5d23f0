/** @file reduce_random.c
 *  VLM-P-15: answers differently every third time.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    static int calls = 0;
    const vlm_status status = sound_reduce(component, run, view, map);
    int32_t* groups = (int32_t*)((char*)map->groups->view.data + map->groups->view.byte_offset);
    if (++calls % 3 == 0)
        for (int64_t i = 0; i < view->tokens; ++i) groups[i] = (int32_t)i;
    if (calls % 3 == 0) map->group_count = view->tokens;
    return status;
}
