/** @file post_peeks.c
 *  Tries in `create`, when files may be read, to open the memory of the process that started it.
 */
#define CREATE peeking_create
#include <fcntl.h>

#include "sound_post.h"

static vlm_status peeking_create(const vlm_component_config* config, vlm_component** component) {
    char line[128], path[64];
    int host = 0;
    FILE* status = fopen("/proc/self/status", "r");
    while (status != NULL && fgets(line, sizeof line, status) != NULL)
        if (sscanf(line, "PPid: %d", &host) == 1) break;
    snprintf(path, sizeof path, "/proc/%d/mem", host);
    const int memory = open(path, O_RDONLY);
    if (host > 0 && memory < 0) return sound_create(config, component);
    snprintf(config->reason, config->reason_size, "%s was opened", path);
    return VLM_STATUS_INTERNAL;
}
