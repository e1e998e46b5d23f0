/** @file load_trusts_weights.c
 *  VLM-P-24: takes it for granted that a tensor of the checkpoint is there. Takes any configuration, so that a
 * checkpoint can be given.
 */
#define LOAD faulty_load
#define CREATE any_create
#include "sound_connector.h"

static vlm_status any_create(const vlm_component_config* config, vlm_component** component) {
    vlm_component_config plain = *config;
    plain.config.data = "{}";
    plain.config.size = 2;
    return sound_create(&plain, component);
}

static vlm_status faulty_load(vlm_component* component, const vlm_run_context* run, const vlm_weights* weights) {
    (void)component, (void)run;
    const vlm_tensor* first = NULL;
    weights->find(weights->host, weights->name(weights->host, 0), &first);
    return first->view.ndim > 0 ? VLM_STATUS_OK : VLM_STATUS_DATA_LOSS;
}
