/** @file rope.cpp
 *  Rotary position embedding (Su et al., arXiv 2104.09864) in two steps: angles become a table once per call of a
 * model, and every layer rotates with it. The angle is the f32 product of position and frequency, as the references
 * compute it; only then does the library's cos and sin see it, so large positions give the same bits as there.
 */
#include <cmath>

#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kRowGrain = 16;

void check_spec(const vlm_rope_spec* spec) {
    if (spec == nullptr) throw invalid_argument("spec is NULL");
    if (spec->struct_size < sizeof(vlm_rope_spec) || spec->struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument("spec has struct_size " + std::to_string(spec->struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_rope_spec)));
    if (spec->frequencies < 1 || spec->frequencies > 65536 || spec->axes < 1 || spec->axes > 3 ||
        spec->inv_freq == nullptr)
        throw invalid_argument("spec has " + std::to_string(spec->frequencies) + " frequencies and " +
                               std::to_string(spec->axes) + " axes, expected 1 to 65536, 1 to 3 and inv_freq");
    for (int32_t i = 0; spec->axis != nullptr && i < spec->frequencies; ++i)
        if (spec->axis[i] < 0 || spec->axis[i] >= spec->axes)
            throw invalid_argument("axis[" + std::to_string(i) + "] is " + std::to_string(spec->axis[i]) + " of " +
                                   std::to_string(spec->axes) + " axes");
}

}  // namespace

vlm_status rope_table(const vlm_compute* self, const vlm_run_context* run, const vlm_rope_spec* spec,
                      const vlm_tensor* positions, vlm_tensor* cos, vlm_tensor* sin) {
    return guarded(self, run, Op::rope_table, [&](State& state) {
        check_spec(spec);
        View p = compact_view(positions, "positions", 0);
        if (p.dtype != VLM_DTYPE_I32 && p.dtype != VLM_DTYPE_F32)
            throw invalid_argument(p.text() + " has the wrong dtype, expected i32 or f32");
        const int64_t n = p.last();
        if (p.elements != n * spec->axes || p.ndim < 1 || p.ndim > 2)
            throw invalid_argument(p.text() + ", expected [" + std::to_string(spec->axes) + ", n]");
        const View c = compact_view(cos, "cos", VLM_DTYPE_F32), s = compact_view(sin, "sin", VLM_DTYPE_F32);
        expect_shape(c, {n, spec->frequencies});
        expect_shape(s, {n, spec->frequencies});
        state.pool.parallel_for(0, n, kRowGrain, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                for (int64_t f = 0; f < spec->frequencies; ++f) {
                    const int64_t at = (spec->axis != nullptr ? spec->axis[f] : 0) * n + i;
                    const float position =
                        p.dtype == VLM_DTYPE_I32 ? static_cast<float>(p.data<int32_t>()[at]) : p.data<float>()[at];
                    const float angle = position * spec->inv_freq[f];
                    c.data<float>()[i * spec->frequencies + f] = std::cos(angle) * spec->attention_scaling;
                    s.data<float>()[i * spec->frequencies + f] = std::sin(angle) * spec->attention_scaling;
                }
            }
        });
    });
}

vlm_status rope(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* x, const vlm_tensor* cos,
                const vlm_tensor* sin, int32_t interleaved) {
    return guarded(self, run, Op::rope, [&](State& state) {
        const View v = view_of(x, "x", VLM_DTYPE_F32, 3);
        const View c = compact_view(cos, "cos", VLM_DTYPE_F32, 2), s = compact_view(sin, "sin", VLM_DTYPE_F32, 2);
        expect_same_shape(c, s);
        const int64_t half = c.dim(1), d = v.strides[2];
        if (c.dim(0) != v.dim(0) || 2 * half > v.dim(2))
            throw invalid_argument(v.text() + " does not fit " + c.text() + ": expected [" + std::to_string(v.dim(0)) +
                                   ", at most " + std::to_string(v.dim(2) / 2) + "]");
        const int64_t step = interleaved != 0 ? 2 * d : d, partner = interleaved != 0 ? d : half * d;
        const bool neighbours = interleaved == 0 && d == 1;
        const Kernels& table = kernels();
        state.pool.parallel_for(0, v.dim(0), kRowGrain, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                const float* ci = c.data<float>() + i * half;
                const float* si = s.data<float>() + i * half;
                for (int64_t h = 0; h < v.dim(1); ++h) {
                    float* row = v.data<float>() + i * v.strides[0] + h * v.strides[1];
                    if (neighbours) {
                        table.rotate(row, ci, si, half, row);
                        continue;
                    }
                    for (int64_t f = 0; f < half; ++f, row += step) {
                        const float a = row[0], b = row[partner];
                        row[0] = a * ci[f] - b * si[f];
                        row[partner] = b * ci[f] + a * si[f];
                    }
                }
            }
        });
    });
}

}  // namespace vlm::cpu
