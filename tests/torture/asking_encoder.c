/** @file asking_encoder.c
 *  An encoder that asks the token reducers in each of 16 layers and computes next to nothing, for the tests of
 * isolation and isolate_bench: what is left is the price of asking. It shows what it is asked for, features of 1024
 * numbers, keys of 64 and scores; the first row of each holds the number of the layer, counted from 1. It takes the
 * answers as they come and merges nothing.
 */
#define ENCODE asking_encode
#include "sound_encoder.h"

enum { kLayers = 16, kWidth = 1024, kHeadDim = 64 };

/** Scratch memory of `tokens` rows. */
static vlm_status show(const vlm_run_context* run, uint32_t dtype, int32_t ndim, const int64_t* shape, double first,
                       vlm_tensor** tensor) {
    const vlm_compute* const compute = run->compute;
    const vlm_status status = compute->create(compute, run, dtype, ndim, shape, tensor);
    if (status != VLM_STATUS_OK) return status;
    vlm_tensor row = **tensor;
    int64_t row_shape[2] = {1, ndim == 2 ? shape[1] : 1};
    row.view.shape = row_shape;
    return compute->fill(compute, run, &row, first);
}

static vlm_status ask(const vlm_run_context* run, int32_t layer, uint32_t needs, int64_t tokens) {
    const uint32_t dtype = run->compute->activation_dtype;
    const int64_t hidden_shape[2] = {tokens, kWidth}, keys_shape[2] = {tokens, kHeadDim};
    vlm_tensor *hidden = NULL, *keys = NULL, *scores = NULL;
    vlm_status status = VLM_STATUS_OK;
    if ((needs & VLM_NEED_HIDDEN) != 0) status = show(run, dtype, 2, hidden_shape, layer + 1, &hidden);
    if (status == VLM_STATUS_OK && (needs & VLM_NEED_KEYS) != 0)
        status = show(run, dtype, 2, keys_shape, layer + 1, &keys);
    if (status == VLM_STATUS_OK && (needs & VLM_NEED_SCORES) != 0)
        status = show(run, VLM_DTYPE_F32, 1, &tokens, layer + 1, &scores);
    const vlm_token_view view = {.struct_size = sizeof view,
                                 .abi_version = VLM_ABI_VERSION,
                                 .site = VLM_SITE_ENCODER_LAYER,
                                 .layer = layer,
                                 .layers = kLayers,
                                 .tokens = tokens,
                                 .protected_tokens = 1,
                                 .hidden = hidden,
                                 .keys = keys,
                                 .scores = scores};
    const vlm_token_map* map = NULL;
    if (status == VLM_STATUS_OK) status = run->hooks->reduce(run->hooks->host, run, &view, &map);
    run->compute->destroy(run->compute, run, hidden);
    run->compute->destroy(run->compute, run, keys);
    run->compute->destroy(run->compute, run, scores);
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
