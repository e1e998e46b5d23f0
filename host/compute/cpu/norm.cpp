/** @file norm.cpp
 *  layer_norm, rms_norm, l2_normalize, softmax: one row at a time, so a row is read from memory once and its second and
 * third pass hit the cache. Rows may be the heads of a fused projection, which is how query and key norms come.
 */
#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

/** Rows of one chunk: about 64 KB of them. */
int64_t row_grain(int64_t columns) {
    return columns >= 16384 ? 1 : 16384 / (columns + 1) + 1;
}

/** Calls `fn(x_row, y_row, columns)` for every row of two tensors of the same shape. */
template <class Fn>
void for_rows(State& state, const vlm_tensor* x, vlm_tensor* y, Fn&& fn) {
    const View from = view_of(x, "x", VLM_DTYPE_F32), to = view_of(y, "y", VLM_DTYPE_F32);
    expect_same_shape(from, to);
    if (from.elements == 0) return;
    const Rows source(from), target(to);
    state.pool.parallel_for(0, source.count(), row_grain(source.columns()), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) fn(source.row(i), target.row(i), source.columns());
    });
}

int64_t last_dimension(const vlm_tensor* x) {
    return view_of(x, "x", VLM_DTYPE_F32).last();
}

}  // namespace

vlm_status layer_norm(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* gamma,
                      const vlm_tensor* beta, float eps, vlm_tensor* y) {
    return guarded(self, run, Op::layer_norm, [&](State& state) {
        const int64_t dim = last_dimension(x);
        const View g = optional_vector(gamma, "gamma", VLM_DTYPE_F32, dim);
        const View b = optional_vector(beta, "beta", VLM_DTYPE_F32, dim);
        const Kernels& table = kernels();
        for_rows(state, x, y, [&](const float* from, float* to, int64_t n) {
            table.layer_norm(from, g.data<float>(), b.data<float>(), eps, to, n);
        });
    });
}

vlm_status rms_norm(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* gamma,
                    float eps, float offset, vlm_tensor* y) {
    return guarded(self, run, Op::rms_norm, [&](State& state) {
        const View g = optional_vector(gamma, "gamma", VLM_DTYPE_F32, last_dimension(x));
        const Kernels& table = kernels();
        for_rows(state, x, y, [&](const float* from, float* to, int64_t n) {
            table.rms_norm(from, g.data<float>(), eps, offset, to, n);
        });
    });
}

vlm_status l2_normalize(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, float eps,
                        vlm_tensor* y) {
    return guarded(self, run, Op::l2_normalize, [&](State& state) {
        const Kernels& table = kernels();
        for_rows(state, x, y, [&](const float* from, float* to, int64_t n) { table.l2_normalize(from, eps, to, n); });
    });
}

vlm_status softmax(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* y) {
    return guarded(self, run, Op::softmax, [&](State& state) {
        const Kernels& table = kernels();
        for_rows(state, x, y, [&](const float* from, float* to, int64_t n) { table.softmax(from, to, n); });
    });
}

}  // namespace vlm::cpu
