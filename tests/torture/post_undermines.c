/** @file post_undermines.c
 *  Undermines the filter of system calls that its process is to get later: from `create` on, the kernel answers every
 * request for another filter with "done". Says in `process` whether it can open a file.
 */
#define _GNU_SOURCE
#define CREATE undermining_create
#define PROCESS opening_process
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "sound_post.h"

static vlm_status undermining_create(const vlm_component_config* config, vlm_component** component) {
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_seccomp, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    static const struct sock_fprog program = {sizeof code / sizeof *code, code};
    if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &program) != 0)
        return VLM_STATUS_UNAVAILABLE;
    return sound_create(config, component);
}

static vlm_status opening_process(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                                  vlm_emit_json_fn emit, void* sink) {
    if (open("/proc/self/status", O_RDONLY) >= 0) {
        run->error(run->host, VLM_STATUS_INTERNAL, "opened a file");
        return VLM_STATUS_INTERNAL;
    }
    return sound_process(component, run, input, emit, sink);
}
