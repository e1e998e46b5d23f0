/** @file sound_post.h
 *  A small post-processor in C that keeps every rule: it counts the answers. Files that break one rule define PROCESS
 * and include it, as with sound.h.
 */
#ifndef VLM_TORTURE_SOUND_POST_H_
#define VLM_TORTURE_SOUND_POST_H_
#include <vlm/post_processor.h>
#define SOUND_KIND VLM_KIND_POST_PROCESSOR
#define OTHER_TABLE post_table
#include "sound.h"

#ifndef PROCESS
#define PROCESS sound_process
#endif

static vlm_status PROCESS(vlm_component* component, const vlm_run_context* run, const vlm_post_input* input,
                          vlm_emit_json_fn emit, void* sink);

static UNUSED vlm_status sound_process(vlm_component* component, const vlm_run_context* run,
                                       const vlm_post_input* input, vlm_emit_json_fn emit, void* sink) {
    (void)component;
    if (run->is_cancelled(run->host)) return VLM_STATUS_CANCELLED;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < input->answer_count; ++i) bytes += input->answers[i]->text.size;
    char json[96];
    const int size = snprintf(json, sizeof json, "{\"answers\": %u, \"bytes\": %llu}", input->answer_count,
                              (unsigned long long)bytes);
    return emit(sink, json, (uint64_t)size);
}

static const vlm_post_processor kPost = {{sizeof kPost, VLM_ABI_VERSION, CREATE, NULL, DESTROY}, PROCESS};
static const void* post_table(void) {
    return &kPost;
}

#endif /* VLM_TORTURE_SOUND_POST_H_ */
