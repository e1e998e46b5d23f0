/** @file reduce_writes_input.c
 *  VLM-P-13: works in place on the features that it was shown.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    ((float*)((char*)view->hidden->view.data + view->hidden->view.byte_offset))[0] = 1.0F;
    return sound_reduce(component, run, view, map);
}
