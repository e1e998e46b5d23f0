/** @file post_opens_file.c
 *  Reads a file for every answer, which works until somebody isolates it (VLM-P-26).
 */
#define PROCESS reading_process
#include <fcntl.h>
#include <unistd.h>

#include "sound_post.h"

static vlm_status reading_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                  vlm_emit_json_fn emit, void* sink) {
    const int file = open("/dev/null", O_RDONLY);
    if (file >= 0) close(file);
    return sound_process(component, run, input, emit, sink);
}
