/** @file reduce_waits.c
 *  VLM-P-21: waits for the stream, where there is one.
 */
#define REDUCE faulty_reduce
#include "sound.h"

int cudaStreamSynchronize(void* stream) __attribute__((weak));

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    if (cudaStreamSynchronize != NULL) cudaStreamSynchronize(run->stream);
    return sound_reduce(component, run, view, map);
}
