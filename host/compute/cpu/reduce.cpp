/** @file reduce.cpp
 *  Mean over one dimension. The sum of each output runs in index order and in double, so that pooling a long picture
 * loses nothing and does not depend on how columns are cut.
 */
#include <vector>

#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

/** Checks that `y` is `x` without dimension `axis`, or with it as 1. */
void expect_reduced(const View& x, const View& y, int32_t axis) {
    const bool kept = y.ndim == x.ndim;
    bool fits = kept || y.ndim == x.ndim - 1;
    for (int32_t d = 0, e = 0; fits && d < x.ndim; ++d) {
        if (d == axis) {
            if (kept) fits = y.dim(e++) == 1;
        } else {
            fits = y.dim(e++) == x.dim(d);
        }
    }
    if (!fits) throw invalid_argument(y.text() + " is not " + x.text() + " without dimension " + std::to_string(axis));
}

}  // namespace

vlm_status mean(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t axis, vlm_tensor* y) {
    return guarded(self, run, Op::mean, [&](State& state) {
        const View from = view_of(x, "x", VLM_DTYPE_F32), to = compact_view(y, "y", VLM_DTYPE_F32);
        if (axis < 0 || axis >= from.ndim)
            throw invalid_argument("axis " + std::to_string(axis) + " of " + from.text());
        expect_reduced(from, to, axis);
        if (to.elements == 0) return;
        const auto a = static_cast<size_t>(axis);
        const int64_t n = from.shape[a];
        if (n == 0)
            throw invalid_argument("the mean over nothing: dimension " + std::to_string(axis) + " of " + from.text());
        state.pool.parallel_for(0, to.elements, 256, [&](int64_t begin, int64_t end) {
            std::vector<double> sums(static_cast<size_t>(end - begin), 0.0);
            std::vector<int64_t> offsets(static_cast<size_t>(end - begin));
            for (int64_t i = begin; i < end; ++i) {
                int64_t rest = i, offset = 0;
                for (int32_t d = from.ndim - 1; d >= 0; --d) {
                    if (d == axis) continue;
                    const auto k = static_cast<size_t>(d);
                    offset += rest % from.shape[k] * from.strides[k];
                    rest /= from.shape[k];
                }
                offsets[static_cast<size_t>(i - begin)] = offset;
            }
            for (int64_t j = 0; j < n; ++j)
                for (size_t i = 0; i < sums.size(); ++i)
                    sums[i] += static_cast<double>(from.data<float>()[offsets[i] + j * from.strides[a]]);
            for (size_t i = 0; i < sums.size(); ++i)
                to.data<float>()[begin + static_cast<int64_t>(i)] =
                    static_cast<float>(sums[i] / static_cast<double>(n));
        });
    });
}

}  // namespace vlm::cpu
