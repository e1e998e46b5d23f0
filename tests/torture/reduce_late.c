/** @file reduce_late.c
 *  VLM-P-21: returns before its work is done, and lets a thread of its own finish it.
 */
#include <pthread.h>
#include <time.h>
#define REDUCE faulty_reduce
#include "sound.h"

/** Group of the first token in the last call. */
static int32_t* target;

static void* finish(void* unused) {
    (void)unused;
    const struct timespec moment = {0, 20000000};
    nanosleep(&moment, NULL);
    target[0] = -1;
    return NULL;
}

static vlm_status faulty_reduce(vlm_component* component, const vlm_run_context* run, const vlm_token_view* view,
                                vlm_token_map* map) {
    const vlm_status status = sound_reduce(component, run, view, map);
    static int calls;
    pthread_t thread;
    // Not at once: what is written when a test has long given the memory back would be a crash, and another rule.
    if (status != VLM_STATUS_OK || ++calls <= 16) return status;
    target = (int32_t*)((char*)map->groups->view.data + map->groups->view.byte_offset);
    if (pthread_create(&thread, NULL, finish, NULL) == 0) pthread_detach(thread);
    return status;
}
