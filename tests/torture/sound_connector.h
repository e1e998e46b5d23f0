/** @file sound_connector.h
 *  A small connector in C that keeps every rule: it hands rows of 4 numbers on as they are. Files that break one rule
 * define PLAN, CONNECT or LOAD and include it, as with sound.h.
 */
#ifndef VLM_TORTURE_SOUND_CONNECTOR_H_
#define VLM_TORTURE_SOUND_CONNECTOR_H_
#include <vlm/connector.h>
#define SOUND_KIND VLM_KIND_CONNECTOR
#define OTHER_TABLE connector_table
#include "sound.h"

#ifndef PLAN
#define PLAN sound_plan
#endif
#ifndef CONNECT
#define CONNECT sound_connect
#endif

enum { kWidth = 4 };

#ifdef LOAD
static vlm_status LOAD(vlm_component* component, const vlm_run_context* run, const vlm_weights* weights);
#else
#define LOAD NULL
#endif

static vlm_status PLAN(vlm_component* component, const vlm_token_layout* layout, int32_t width, int32_t height,
                       vlm_connector_plan* plan);
static vlm_status CONNECT(vlm_component* component, const vlm_run_context* run, uint32_t count,
                          const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs);

static vlm_status sound_describe(const vlm_component* component, vlm_connector_description* out) {
    if (component == NULL || out == NULL || out->struct_size < 8 || out->abi_version == 0)
        return VLM_STATUS_INVALID_ARGUMENT;
    const uint32_t size = out->struct_size < sizeof *out ? out->struct_size : (uint32_t)sizeof *out;
    const vlm_connector_description mine = {
        out->struct_size, out->abi_version, kWidth, kWidth, VLM_DELIVERY_INLINE, 0, 0, 0};
    memcpy(out, &mine, size);
    return VLM_STATUS_OK;
}

static UNUSED vlm_status sound_plan(vlm_component* component, const vlm_token_layout* layout, int32_t width,
                                    int32_t height, vlm_connector_plan* plan) {
    (void)component, (void)width, (void)height;
    plan->rows = layout->tokens;
    plan->workspace_bytes = 0;
    plan->layout = NULL;
    return VLM_STATUS_OK;
}

static UNUSED vlm_status sound_connect(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                       const vlm_connector_input* const* inputs, vlm_connector_output* const* outputs) {
    (void)component;
    for (uint32_t i = 0; i < count; ++i) {
        if (run->is_cancelled(run->host)) return VLM_STATUS_CANCELLED;
        const vlm_status status = run->compute->copy(run->compute, run, inputs[i]->features, outputs[i]->tokens);
        if (status != VLM_STATUS_OK) {
            run->error(run->host, status, "the features cannot be copied; are they 4 wide?");
            return status;
        }
        outputs[i]->rows = inputs[i]->features->view.shape[0];
    }
    return VLM_STATUS_OK;
}

static const vlm_connector kConnector = {
    {sizeof kConnector, VLM_ABI_VERSION, CREATE, LOAD, DESTROY}, sound_describe, PLAN, CONNECT};
static const void* connector_table(void) {
    return &kConnector;
}

#endif /* VLM_TORTURE_SOUND_CONNECTOR_H_ */
