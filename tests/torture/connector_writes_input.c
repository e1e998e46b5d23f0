/** @file connector_writes_input.c
 *  VLM-P-13: uses the features as scratch memory.
 */
#define CONNECT faulty_connect
#include "sound_connector.h"

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    const vlm_status status = sound_connect(component, run, count, inputs, outputs);
    ((float*)inputs[0]->features->view.data)[0] += 1;
    return status;
}
