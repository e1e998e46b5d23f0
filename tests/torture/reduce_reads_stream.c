/** @file reduce_reads_stream.c
 *  VLM-P-21: takes the stream for something that it may look into.
 */
#define REDUCE faulty_reduce
#include "sound.h"

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    if (run->stream != NULL && *(volatile const int*)run->stream == 0) return VLM_STATUS_INTERNAL;
    return sound_reduce(component, run, view, map);
}
