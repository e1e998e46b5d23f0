/** @file connector_late.c
 *  VLM-P-21: returns before its work is done, and lets a thread of its own finish it.
 */
#include <pthread.h>
#include <time.h>
#define CONNECT faulty_connect
#include "sound_connector.h"

/** An output of the last call. */
static float* target;

static void* finish(void* unused) {
    (void)unused;
    const struct timespec moment = {0, 20000000};
    nanosleep(&moment, NULL);
    target[0] = 99;
    return NULL;
}

static vlm_status faulty_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                 const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    const vlm_status status = sound_connect(component, run, count, inputs, outputs);
    static int calls;
    pthread_t thread;
    // Not at once: what is written when a test has long given the memory back would be a crash, and another rule.
    if (status != VLM_STATUS_OK || ++calls <= 12) return status;
    target = (float*)outputs[0]->tokens->view.data;
    if (pthread_create(&thread, NULL, finish, NULL) == 0) pthread_detach(thread);
    return status;
}
