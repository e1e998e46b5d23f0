/** @file load_hides_failure.c
 *  VLM-P-24: keeps a tensor in the compute service's memory while it loads, and goes on without it when that fails.
 */
#define CONNECT faulty_connect
#define LOAD faulty_load
#include "sound_connector.h"

static const vlm_tensor* kept;

static vlm_status faulty_load(vlm_component* component, const vlm_run_context* run, const vlm_weights* weights) {
    (void)component, (void)weights;
    float one = 1;
    int64_t shape[1] = {1};
    const vlm_tensor source = {sizeof source,
                               VLM_ABI_VERSION,
                               {&one, {VLM_DEVICE_CPU, 0}, 1, {VLM_TYPE_FLOAT, 32, 1}, shape, NULL, 0},
                               NULL,
                               NULL};
    vlm_tensor* made = NULL;
    (void)run->compute->keep(run->compute, &source, VLM_DTYPE_F32, &made);
    kept = made;
    return VLM_STATUS_OK;
}

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    const vlm_status status = sound_connect(component, run, count, inputs, outputs);
    if (kept == NULL) ((float*)outputs[0]->tokens->view.data)[0] = 99;
    return status;
}
