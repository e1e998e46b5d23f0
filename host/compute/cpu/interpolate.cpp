/** @file interpolate.cpp
 *  Position embeddings resampled to another grid. All variants are the same thing, a few weighted taps per axis
 * (host/compute/taps.hpp), so one loop applies them.
 */
#include <algorithm>
#include <vector>

#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"
#include "host/compute/taps.hpp"

namespace vlm::cpu {

vlm_status interpolate(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, int32_t mode,
                       int32_t align_corners, int32_t antialias, vlm_tensor* dst) {
    return guarded(self, run, Op::interpolate, [&](State& state) {
        const View from = view_of(src, "src", VLM_DTYPE_F32, 3), to = view_of(dst, "dst", VLM_DTYPE_F32, 3);
        if (mode != VLM_INTERPOLATE_BILINEAR && mode != VLM_INTERPOLATE_BICUBIC)
            throw invalid_argument("mode " + std::to_string(mode) + " is unknown");
        if (from.dim(2) != to.dim(2)) throw invalid_argument(from.text() + " and " + to.text() + " differ in dim");
        if (to.elements == 0) return;
        if (from.elements == 0) throw invalid_argument(from.text() + " is empty");
        const Rows source(from), target(to);
        const TapRule rule{mode == VLM_INTERPOLATE_BICUBIC, align_corners != 0, antialias != 0};
        const Taps vertical = make_taps(from.dim(0), to.dim(0), rule);
        const Taps horizontal = make_taps(from.dim(1), to.dim(1), rule);
        const int64_t width = to.dim(1), dim = to.dim(2), source_width = from.dim(1);
        const Kernels& table = kernels();
        state.pool.parallel_for(0, to.dim(0), 1, [&](int64_t begin, int64_t end) {
            std::vector<float> line(static_cast<size_t>(dim));
            for (int64_t i = begin; i < end; ++i) {
                for (int64_t j = 0; j < width; ++j) {
                    float* out = target.row(i * width + j);
                    std::fill_n(out, dim, 0.0f);
                    for (const Tap& v : vertical[static_cast<size_t>(i)]) {
                        std::fill(line.begin(), line.end(), 0.0f);
                        for (const Tap& h : horizontal[static_cast<size_t>(j)])
                            table.add(line.data(), source.row(v.index * source_width + h.index), h.weight, line.data(),
                                      dim);
                        table.add(out, line.data(), v.weight, out, dim);
                    }
                }
            }
        });
    });
}

}  // namespace vlm::cpu
