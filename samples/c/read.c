/** @file read.c
 *  An application in C, with nothing but vlm/host.h: opens a pipeline, asks about one image, prints the answer while it
 * is generated, stops cleanly on Ctrl-C (or after the seconds given as third argument), and prints the result as JSON.
 *
 *      read MANIFEST IMAGE [SECONDS]
 */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <vlm/host.h>

/** What the signal thread needs. */
typedef struct canceller {
    vlm_session* session;
    sigset_t signals;
} canceller;

/** Waits for Ctrl-C or the alarm on a thread of its own, because vlm_cancel may be called from any thread, but not from
 * a signal handler. */
static void* wait_for_signal(void* argument) {
    canceller* c = argument;
    int signal_number = 0;
    sigwait(&c->signals, &signal_number);
    vlm_cancel(c->session);
    return NULL;
}

static void show_progress(void* user, uint64_t done, uint64_t total) {
    (void)user;
    if (total > 0) fprintf(stderr, "\rloading %3d %%", (int)(100 * done / total));
}

static int32_t show_text(void* user, const char* text, uint64_t size) {
    (void)user;
    fwrite(text, 1, (size_t)size, stdout);
    fflush(stdout);
    return 1;
}

/** Prints and frees an error; returns the exit status for it. */
static int fail(const char* doing, vlm_error* error) {
    const int cancelled = vlm_error_code(error) == VLM_STATUS_CANCELLED;
    fprintf(stderr, "\n%s: %s\n", cancelled ? "cancelled" : doing, vlm_error_message(error));
    vlm_error_destroy(error);
    return cancelled ? 130 : 1;
}

/** Asks about `path` and prints the answer. */
static int ask(vlm_session* session, const char* path) {
    vlm_image_source image = {0};
    image.struct_size = sizeof image;
    image.abi_version = VLM_ABI_VERSION;
    image.path = path;
    const vlm_image_source* images[] = {&image};

    vlm_generate_request request = {0};
    request.struct_size = sizeof request;
    request.abi_version = VLM_ABI_VERSION;
    request.images = images;
    request.image_count = 1;
    request.stream = show_text;

    vlm_result* result = NULL;
    vlm_error* error = NULL;
    if (vlm_generate(session, &request, &result, &error) != VLM_STATUS_OK) return fail("cannot read", error);
    const vlm_string json = vlm_result_json(result);
    printf("\n%.*s\n", (int)json.size, json.data);
    vlm_result_destroy(result);
    return 0;
}

int main(int argc, char** argv) {
    if (argc < 3) {
        fprintf(stderr, "usage: %s MANIFEST IMAGE [SECONDS]\n", argv[0]);
        return 2;
    }
    canceller c = {0};
    sigemptyset(&c.signals);
    sigaddset(&c.signals, SIGINT);
    sigaddset(&c.signals, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &c.signals, NULL); /* before any thread starts, so that all of them inherit it */

    vlm_host* host = NULL;
    vlm_pipeline* pipeline = NULL;
    vlm_error* error = NULL;
    int status = 0;
    if (vlm_host_create(NULL, &host, &error) != VLM_STATUS_OK)
        status = fail("cannot start", error);
    else if (vlm_pipeline_open(host, argv[1], show_progress, NULL, &pipeline, &error) != VLM_STATUS_OK)
        status = fail("cannot open the pipeline", error);
    else if (vlm_session_create(pipeline, &c.session, &error) != VLM_STATUS_OK)
        status = fail("cannot start a conversation", error);
    else {
        pthread_t thread;
        const int watched = pthread_create(&thread, NULL, wait_for_signal, &c) == 0;
        if (argc > 3) alarm((unsigned)atoi(argv[3]));
        status = ask(c.session, argv[2]);
        if (watched) {
            pthread_cancel(thread);
            pthread_join(thread, NULL);
        }
    }
    vlm_session_destroy(c.session);
    vlm_pipeline_destroy(pipeline);
    vlm_host_destroy(host);
    return status;
}
