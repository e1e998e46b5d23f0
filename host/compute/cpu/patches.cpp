/** @file patches.cpp
 *  Pictures cut into patches, so that a patch embedding is a linear layer: the convolution of a vision tower has kernel
 * equal to stride, and its weight `[out, channels, y, x]` flattened is the matrix that these rows fit.
 */
#include <cstring>

#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

vlm_status patches(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* pixels, int32_t patch_height,
                   int32_t patch_width, int32_t order, vlm_tensor* y) {
    return guarded(self, run, Op::patches, [&](State& state) {
        const View p = view_of(pixels, "pixels", VLM_DTYPE_F32, 4);
        if (patch_height < 1 || patch_width < 1)
            throw invalid_argument("a patch of " + std::to_string(patch_height) + " x " + std::to_string(patch_width) +
                                   ", expected at least 1 x 1");
        if (order != VLM_PATCH_CHANNEL_FIRST && order != VLM_PATCH_CHANNEL_LAST)
            throw invalid_argument("order " + std::to_string(order) + " is unknown");
        const int64_t height = patch_height, width = patch_width, channels = p.dim(1);
        const int64_t rows = p.dim(2) / height, columns = p.dim(3) / width;
        const View to = view_of(y, "y", VLM_DTYPE_F32);
        const Rows target(to);
        if (target.count() != p.dim(0) * rows * columns || target.columns() != channels * height * width)
            throw invalid_argument(to.text() + " does not fit " + p.text() + ": expected [" +
                                   std::to_string(p.dim(0) * rows * columns) + ", " +
                                   std::to_string(channels * height * width) + "]");
        if (to.elements == 0) return;
        state.pool.parallel_for(0, target.count(), 8, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const int64_t column = i % columns, row = i / columns % rows, image = i / columns / rows;
                const float* base = p.data<const float>() + image * p.strides[0] + row * height * p.strides[2] +
                                    column * width * p.strides[3];
                float* out = target.row(i);
                for (int64_t c = 0; c < channels; ++c) {
                    for (int64_t v = 0; v < height; ++v) {
                        const float* line = base + c * p.strides[1] + v * p.strides[2];
                        float* first = order == VLM_PATCH_CHANNEL_FIRST ? out + (c * height + v) * width
                                                                        : out + v * width * channels + c;
                        const int64_t step = order == VLM_PATCH_CHANNEL_FIRST ? 1 : channels;
                        for (int64_t u = 0; u < width; ++u) first[u * step] = line[u * p.strides[3]];
                    }
                }
            }
        });
    });
}

}  // namespace vlm::cpu
