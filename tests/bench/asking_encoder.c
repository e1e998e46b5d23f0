/** @file asking_encoder.c
 *  An encoder for isolate_bench that asks the token reducers in 16 layers and computes next to nothing: what is left is
 * the price of asking. It shows what it is asked for, features of 1024 numbers and keys of 64 for each token.
 */
#define ENCODE asking_encode
#include "../torture/sound_encoder.h"

enum { kLayers = 16, kWidth = 1024, kHeadDim = 64 };

static vlm_status ask(const vlm_run_context* run, int32_t layer, uint32_t needs, int64_t tokens) {
    const vlm_compute* const compute = run->compute;
    const int64_t hidden_shape[2] = {tokens, kWidth}, keys_shape[2] = {tokens, kHeadDim};
    vlm_tensor *hidden = NULL, *keys = NULL;
    vlm_status status = VLM_STATUS_OK;
    if ((needs & VLM_NEED_HIDDEN) != 0)
        status = compute->create(compute, run, compute->activation_dtype, 2, hidden_shape, &hidden);
    if (status == VLM_STATUS_OK && (needs & VLM_NEED_KEYS) != 0)
        status = compute->create(compute, run, compute->activation_dtype, 2, keys_shape, &keys);
    vlm_token_view view = {sizeof view, VLM_ABI_VERSION, VLM_SITE_ENCODER_LAYER, layer, kLayers, 0, tokens, 1};
    view.hidden = hidden;
    view.keys = keys;
    const vlm_token_map* map = NULL;
    if (status == VLM_STATUS_OK) status = run->hooks->reduce(run->hooks->host, run, &view, &map);
    compute->destroy(compute, run, hidden);
    compute->destroy(compute, run, keys);
    return status;
}

static vlm_status asking_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    vlm_status status = sound_encode(component, run, count, pixels, outputs);
    if (run->hooks == NULL) return status;
    for (int32_t layer = 0; layer < kLayers && status == VLM_STATUS_OK; ++layer) {
        const uint32_t needs = run->hooks->needs(run->hooks->host, VLM_SITE_ENCODER_LAYER, layer, kLayers);
        if (needs != 0) status = ask(run, layer, needs, outputs[0]->rows);
    }
    return status;
}
