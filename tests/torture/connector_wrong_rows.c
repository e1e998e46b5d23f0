/** @file connector_wrong_rows.c
 *  VLM-P-17: makes one row more than it planned.
 */
#define CONNECT faulty_connect
#include "sound_connector.h"

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    const vlm_status status = sound_connect(component, run, count, inputs, outputs);
    ++outputs[0]->rows;
    return status;
}
