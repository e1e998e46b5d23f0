/** @file connector_hides_tap.c
 *  VLM-P-24: shows its tokens and does not look whether the listener took them.
 */
#define CONNECT faulty_connect
#include "sound_connector.h"

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    const vlm_status status = sound_connect(component, run, count, inputs, outputs);
    if (status == VLM_STATUS_OK && run->tap != NULL) (void)run->tap(run->host, "connector", outputs[0]->tokens);
    return status;
}
