/** @file read.c
 *  Reads a prescription in C, with nothing but vlm/host.h: opens a pipeline, shows that the reader is at work, stops
 * cleanly on Ctrl-C (or after the seconds given as third argument), and prints what was found as a table.
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

/** How far the reader is. */
typedef struct reading {
    uint64_t rows;
    uint64_t bytes;
} reading;

/** The rows of a page are read side by side; `answer` says which of them this part of the text belongs to. */
static int32_t show_reading(void* user, uint64_t answer, const char* text, uint64_t size) {
    reading* r = user;
    (void)text;
    if (answer + 1 > r->rows) r->rows = answer + 1;
    r->bytes += size;
    fprintf(stderr, "\rreading %3d rows, %5d bytes", (int)r->rows, (int)r->bytes);
    return 1;
}

/** Prints and frees an error; returns the exit status for it. */
static int fail(vlm_error* error) {
    const int cancelled = vlm_error_code(error) == VLM_STATUS_CANCELLED;
    if (cancelled)
        fprintf(stderr, "\ncancelled\n");
    else
        fprintf(stderr, "\n%s: %s\n", vlm_status_name(vlm_error_code(error)), vlm_error_message(error));
    vlm_error_destroy(error);
    return cancelled ? 130 : 1;
}

/** Prints one value of the result in a column; "-" for null. */
static void print_value(const vlm_result* result, int drug, const char* member, int width) {
    char path[64];
    vlm_string value = {0};
    snprintf(path, sizeof path, "/drugs/%d/%s", drug, member);
    vlm_result_find(result, path, &value);
    const int size = (int)value.size;
    printf("%-*.*s ", width, size > 0 ? size : 1, size > 0 ? value.data : "-");
}

static void print_table(const vlm_result* result) {
    printf("%-11s %-16s %-10s printed\n", "status", "name", "dosage");
    for (int drug = 0;; ++drug) {
        char path[32];
        vlm_string value = {0};
        snprintf(path, sizeof path, "/drugs/%d", drug);
        if (vlm_result_find(result, path, &value) != VLM_STATUS_OK) return;
        print_value(result, drug, "status", 11);
        print_value(result, drug, "name", 16);
        print_value(result, drug, "dosage", 10);
        print_value(result, drug, "printed", 0);
        printf("\n");
    }
}

// [ask]
/** Asks about `path` and prints the answer. */
static int ask(vlm_session* session, const char* path) {
    vlm_image_source image = {.struct_size = sizeof image, .abi_version = VLM_ABI_VERSION, .path = path};
    const vlm_image_source* images[] = {&image};
    reading progress = {0};
    vlm_generate_request request = {.struct_size = sizeof request,
                                    .abi_version = VLM_ABI_VERSION,
                                    .images = images,
                                    .image_count = 1,
                                    .answer_stream = show_reading,
                                    .user = &progress};

    vlm_result* result = NULL;
    vlm_error* error = NULL;
    if (vlm_generate(session, &request, &result, &error) != VLM_STATUS_OK) return fail(error);
    fprintf(stderr, "\n");
    print_table(result);
    vlm_result_destroy(result);
    return 0;
}
// [ask]

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

    // [open]
    vlm_host* host = NULL;
    vlm_pipeline* pipeline = NULL;
    vlm_error* error = NULL;
    int status = 0;
    if (vlm_host_create(NULL, &host, &error) != VLM_STATUS_OK ||
        vlm_pipeline_open(host, argv[1], show_progress, NULL, &pipeline, &error) != VLM_STATUS_OK ||
        vlm_session_create(pipeline, &c.session, &error) != VLM_STATUS_OK)
        status = fail(error);
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
    // [open]
    return status;
}
