/** @file elementwise.cpp
 *  activation, add, multiply: memory-bound, so all there is to do is to walk rows in order and keep the vector units
 * from being the limit. The second operand is broadcast over leading dimensions by taking its rows modulo their number.
 */
#include <algorithm>

#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

int64_t row_grain(int64_t columns) {
    return columns >= 16384 ? 1 : 16384 / (columns + 1) + 1;
}

/** Checks that the shape of `b` is that of the last dimensions of `a` (leading ones of `b` may be 1). */
void expect_broadcast(const View& a, const View& b) {
    bool fits = true;
    for (int32_t d = 1; d <= b.ndim; ++d) {
        const int64_t size = b.dim(b.ndim - d);
        const bool equal = d <= a.ndim && size == a.dim(a.ndim - d);
        const bool leading_one = size == 1 && b.elements == [&] {
            int64_t product = 1;
            for (int32_t e = 1; e < d; ++e) product *= b.dim(b.ndim - e);
            return product;
        }();
        if (!equal && !(leading_one && d > 1)) fits = false;
    }
    if (!fits)
        throw invalid_argument(a.text() + " and " + b.text() +
                               " do not fit, expected equal shapes or those of the last dimensions");
}

/** Calls `fn(a_row, b_row, y_row, columns)`. */
template <class Fn>
void for_row_pairs(State& state, const vlm_tensor* a, const vlm_tensor* b, vlm_tensor* y, Fn&& fn) {
    const View av = view_of(a, "a", VLM_DTYPE_F32), bv = view_of(b, "b", VLM_DTYPE_F32);
    const View yv = view_of(y, "y", VLM_DTYPE_F32);
    expect_same_shape(av, yv);
    expect_broadcast(av, bv);
    if (av.elements == 0) return;
    const Rows left(av), right(bv), target(yv);
    // A scalar second operand has no row to speak of.
    if (right.columns() != left.columns())
        throw invalid_argument(av.text() + " and " + bv.text() + " differ in the last dimension");
    const int64_t period = right.count();
    state.pool.parallel_for(0, left.count(), row_grain(left.columns()), [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) fn(left.row(i), right.row(i % period), target.row(i), left.columns());
    });
}

}  // namespace

vlm_status activation(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, uint32_t kind,
                      vlm_tensor* y) {
    return guarded(self, run, Op::activation, [&](State& state) {
        if (kind > VLM_ACT_SIGMOID) throw invalid_argument("activation " + std::to_string(kind) + " is unknown");
        const View from = view_of(x, "x", VLM_DTYPE_F32), to = view_of(y, "y", VLM_DTYPE_F32);
        expect_same_shape(from, to);
        if (from.elements == 0) return;
        const Rows source(from), target(to);
        const Kernels& table = kernels();
        state.pool.parallel_for(0, source.count(), row_grain(source.columns()), [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i)
                table.activation(kind, source.row(i), target.row(i), source.columns());
        });
    });
}

vlm_status add(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
               float scale, vlm_tensor* y) {
    return guarded(self, run, Op::add, [&](State& state) {
        const Kernels& table = kernels();
        for_row_pairs(state, a, b, y, [&](const float* left, const float* right, float* to, int64_t n) {
            table.add(left, right, scale, to, n);
        });
    });
}

vlm_status multiply(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                    vlm_tensor* y) {
    return guarded(self, run, Op::multiply, [&](State& state) {
        const Kernels& table = kernels();
        for_row_pairs(state, a, b, y, [&](const float* left, const float* right, float* to, int64_t n) {
            table.multiply(left, right, to, n);
        });
    });
}

}  // namespace vlm::cpu
