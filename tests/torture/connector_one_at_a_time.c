/** @file connector_one_at_a_time.c
 *  VLM-P-16: keeps its work in one place for all threads.
 */
#include <time.h>
#define CONNECT faulty_connect
#include "sound_connector.h"

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    static volatile int32_t busy;
    const int32_t mine = ++busy;
    const vlm_status status = sound_connect(component, run, count, inputs, outputs);
    struct timespec moment = {0, 2000000};
    nanosleep(&moment, NULL);
    if (busy != mine) ((float*)outputs[0]->tokens->view.data)[0] = 99;
    --busy;
    return status;
}
