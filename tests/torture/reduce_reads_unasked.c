/** @file reduce_reads_unasked.c
 *  VLM-P-17: asks for the features, and then decides by the keys where it finds any.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const vlm_status status = sound_reduce(component, run, view, map);
    if (view->keys == NULL || status != VLM_STATUS_OK) return status;
    const float* keys = (const float*)((const char*)view->keys->view.data + view->keys->view.byte_offset);
    if (keys[0] > 0) map->group_count = 0;
    return status;
}
