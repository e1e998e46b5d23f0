/** @file sound_encoder.h
 *  A small vision encoder in C that keeps every rule: the mean colour of each patch of 8 x 8 pixels. Files that break
 * one rule define PLAN or ENCODE and include it, as with sound.h.
 */
#ifndef VLM_TORTURE_SOUND_ENCODER_H_
#define VLM_TORTURE_SOUND_ENCODER_H_
#include <vlm/vision_encoder.h>
#define SOUND_KIND VLM_KIND_VISION_ENCODER
#define OTHER_TABLE encoder_table
#include "sound.h"

#ifndef PLAN
#define PLAN sound_plan
#endif
#ifndef ENCODE
#define ENCODE sound_encode
#endif
#ifndef HIDDEN
#define HIDDEN 4
#endif

enum { kPatch = 8, kHidden = HIDDEN };

static vlm_status PLAN(vlm_component* component, int32_t width, int32_t height, vlm_vision_plan* plan);
static vlm_status ENCODE(vlm_component* component, const vlm_run_context* run, uint32_t count,
                         const vlm_tensor* const* pixels, vlm_vision_output* const* outputs);

static vlm_status sound_describe(const vlm_component* component, vlm_vision_description* out) {
    if (component == NULL || out == NULL || out->struct_size < 8 || out->abi_version == 0)
        return VLM_STATUS_INVALID_ARGUMENT;
    const uint32_t size = out->struct_size < sizeof *out ? out->struct_size : (uint32_t)sizeof *out;
    const vlm_vision_description mine = {out->struct_size, out->abi_version, kHidden, 0, 0, 0, -1};
    memcpy(out, &mine, size);
    return VLM_STATUS_OK;
}

static UNUSED vlm_status sound_plan(vlm_component* component, int32_t width, int32_t height, vlm_vision_plan* plan) {
    static _Thread_local vlm_token_block block;
    static _Thread_local const vlm_token_block* blocks[1];
    static _Thread_local vlm_token_layout layout;
    (void)component;
    const int32_t rows = height / kPatch, columns = width / kPatch;
    if (rows < 1 || columns < 1) return VLM_STATUS_INVALID_ARGUMENT;
    const int64_t tokens = (int64_t)rows * columns;
    block = (vlm_token_block){
        sizeof block, VLM_ABI_VERSION, VLM_BLOCK_GRID, VLM_BLOCK_FLAG_GLOBAL, 0, tokens, rows, columns, 0, 0,
        {0, 0, 1, 1}};
    blocks[0] = &block;
    layout = (vlm_token_layout){sizeof layout, VLM_ABI_VERSION, tokens, 1, 0, blocks};
    plan->pixel_ndim = 4;
    plan->reserved = 0;
    const int64_t shape[4] = {1, 3, (int64_t)rows * kPatch, (int64_t)columns * kPatch};
    memcpy(plan->pixel_shape, shape, sizeof shape);
    plan->feature_rows = tokens;
    plan->pooled_rows = 0;
    plan->workspace_bytes = tokens * kHidden * 4;
    plan->layout = &layout;
    return VLM_STATUS_OK;
}

static vlm_status sound_preprocess(vlm_component* component, const vlm_run_context* run, const vlm_image* image,
                                   vlm_tensor* pixels) {
    (void)component;
    if (run->is_cancelled(run->host)) return VLM_STATUS_CANCELLED;
    const int32_t height = image->height / kPatch * kPatch, width = image->width / kPatch * kPatch;
    float* out = (float*)((char*)pixels->view.data + pixels->view.byte_offset);
    for (int c = 0; c < 3; ++c)
        for (int32_t y = 0; y < height; ++y)
            for (int32_t x = 0; x < width; ++x) *out++ = (float)image->pixels[(y * image->width + x) * 3 + c] / 255.0F;
    return VLM_STATUS_OK;
}

static UNUSED vlm_status sound_encode(vlm_component* component, const vlm_run_context* run, uint32_t count,
                                      const vlm_tensor* const* pixels, vlm_vision_output* const* outputs) {
    (void)component;
    for (uint32_t i = 0; i < count; ++i) {
        if (run->is_cancelled(run->host)) return VLM_STATUS_CANCELLED;
        if (pixels[i]->view.ndim != 4) {
            run->error(run->host, VLM_STATUS_INVALID_ARGUMENT, "pixels have the wrong number of dimensions");
            return VLM_STATUS_INVALID_ARGUMENT;
        }
        const int64_t height = pixels[i]->view.shape[2], width = pixels[i]->view.shape[3];
        const int64_t columns = width / kPatch, rows = height / kPatch * columns;
        const float* in = (const float*)((const char*)pixels[i]->view.data + pixels[i]->view.byte_offset);
        float* made = calloc((size_t)(rows * kHidden), sizeof(float));
        if (made == NULL) return VLM_STATUS_RESOURCE_EXHAUSTED;
        for (int64_t c = 0; c < 3; ++c)
            for (int64_t y = 0; y < height; ++y)
                for (int64_t x = 0; x < width; ++x)
                    made[((y / kPatch) * columns + x / kPatch) * kHidden + c] += in[(c * height + y) * width + x];
        int64_t shape[2] = {rows, kHidden};
        const vlm_tensor source = {sizeof source,
                                   VLM_ABI_VERSION,
                                   {made, {VLM_DEVICE_CPU, 0}, 2, {VLM_TYPE_FLOAT, 32, 1}, shape, NULL, 0},
                                   NULL,
                                   NULL};
        const vlm_status status = run->compute->copy(run->compute, run, &source, outputs[i]->features);
        free(made);
        if (status != VLM_STATUS_OK) return status;
        outputs[i]->rows = rows;
        run->progress(run->host, i + 1, count);
    }
    return VLM_STATUS_OK;
}

static const vlm_vision_encoder kEncoder = {
    {sizeof kEncoder, VLM_ABI_VERSION, CREATE, NULL, DESTROY}, sound_describe, PLAN, sound_preprocess, ENCODE};
static const void* encoder_table(void) {
    return &kEncoder;
}

#endif /* VLM_TORTURE_SOUND_ENCODER_H_ */
