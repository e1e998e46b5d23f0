/** @file post_opens_files.c
 *  Reads a file and opens a socket, which no isolated plugin may.
 */
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#define PROCESS faulty_process
#include "sound_post.h"

static vlm_status faulty_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                 vlm_emit_json_fn emit, void* sink) {
    const int file = open("/etc/hostname", O_RDONLY);
    const int network = socket(AF_INET, SOCK_STREAM, 0);
    if (file >= 0 || network >= 0) {
        const char* text = "{\"escaped\": true}";
        return emit(sink, text, strlen(text));
    }
    return sound_process(component, run, input, emit, sink);
}
