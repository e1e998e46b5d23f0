/** @file reduce_hides_failure.c
 *  VLM-P-24: copies the features by the compute service, and goes on with zeros when that has failed.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const vlm_status status = sound_reduce(component, run, view, map);
    const int64_t width = view->hidden->view.shape[1];
    float* copy = calloc((size_t)(view->tokens * width), sizeof(float));
    if (copy == NULL || status != VLM_STATUS_OK) return free(copy), status;
    int64_t shape[2] = {view->tokens, width};
    vlm_tensor target = {sizeof target,
                         VLM_ABI_VERSION,
                         {copy, {VLM_DEVICE_CPU, 0}, 2, {VLM_TYPE_FLOAT, 32, 1}, shape, NULL, 0},
                         NULL,
                         NULL};
    (void)run->compute->copy(run->compute, run, view->hidden, &target);
    if (copy[0] == 0) map->group_count = 0;
    free(copy);
    return status;
}
