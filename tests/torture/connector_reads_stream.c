/** @file connector_reads_stream.c
 *  VLM-P-21: takes the stream for something that it may look into.
 */
#define CONNECT faulty_connect
#include "sound_connector.h"

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    if (run->stream != NULL && *(volatile const int*)run->stream == 0) return VLM_STATUS_INTERNAL;
    return sound_connect(component, run, count, inputs, outputs);
}
