/** @file reduce_silent.c
 *  VLM-P-22: refuses features of another number of tokens and does not say why.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    if (view->hidden->view.shape[0] != view->tokens) return VLM_STATUS_INVALID_ARGUMENT;
    return sound_reduce(component, run, view, map);
}
