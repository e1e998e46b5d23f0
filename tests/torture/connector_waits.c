/** @file connector_waits.c
 *  VLM-P-21: waits for the device, where there is one.
 */
#define CONNECT faulty_connect
#include "sound_connector.h"

int cudaDeviceSynchronize(void) __attribute__((weak));

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    if (cudaDeviceSynchronize != NULL) cudaDeviceSynchronize();
    return sound_connect(component, run, count, inputs, outputs);
}
