/** @file topk.cpp
 *  argmax and top_k. Ties go to the lower index and NaN counts as the largest value, as in PyTorch, so that a generated
 * token or a pruned picture does not depend on the device. top_k selects before it sorts: n is often a vocabulary, k
 * rarely above 50.
 */
#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

bool larger(float a, float b) {
    return a > b || (std::isnan(a) && !std::isnan(b));
}

/** Rows of x and the compact outputs of `[rows, k]`. */
struct Selection {
    Selection(const vlm_tensor* x, int64_t k, vlm_tensor* values_out, vlm_tensor* indices_out)
        : view(view_of(x, "x", VLM_DTYPE_F32)), rows(view) {
        if (view.ndim < 1) throw invalid_argument(view.text() + ", expected [rows, n]");
        const int64_t count = rows.count() * k;
        values = optional_vector(values_out, "values", VLM_DTYPE_F32, count).data<float>();
        indices = optional_vector(indices_out, "indices", VLM_DTYPE_I32, count).data<int32_t>();
    }
    View view;
    Rows rows;
    float* values = nullptr;
    int32_t* indices = nullptr;
};

}  // namespace

vlm_status argmax(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* values,
                  vlm_tensor* indices) {
    return guarded(self, run, Op::argmax, [&](State& state) {
        const Selection s(x, 1, values, indices);
        if (s.rows.count() > 0 && s.rows.columns() == 0)
            throw invalid_argument(s.view.text() + " has nothing to choose from");
        state.pool.parallel_for(0, s.rows.count(), 1, [&](int64_t begin, int64_t end) {
            for (int64_t r = begin; r < end; ++r) {
                const float* row = s.rows.row(r);
                int64_t best = 0;
                for (int64_t i = 1; i < s.rows.columns(); ++i)
                    if (larger(row[i], row[best])) best = i;
                if (s.values != nullptr) s.values[r] = row[best];
                if (s.indices != nullptr) s.indices[r] = static_cast<int32_t>(best);
            }
        });
    });
}

vlm_status top_k(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t k,
                 vlm_tensor* values, vlm_tensor* indices) {
    return guarded(self, run, Op::top_k, [&](State& state) {
        const Selection s(x, k, values, indices);
        const int64_t n = s.rows.columns();
        if (k < 0 || k > n) throw invalid_argument("k is " + std::to_string(k) + ", " + s.view.text());
        state.pool.parallel_for(0, s.rows.count(), 1, [&](int64_t begin, int64_t end) {
            std::vector<int32_t> order(static_cast<size_t>(n));
            for (int64_t r = begin; r < end; ++r) {
                const float* row = s.rows.row(r);
                const auto before = [row](int32_t a, int32_t b) {
                    if (larger(row[a], row[b])) return true;
                    return !larger(row[b], row[a]) && a < b;
                };
                std::iota(order.begin(), order.end(), 0);
                if (k < n) std::nth_element(order.begin(), order.begin() + k, order.end(), before);
                std::sort(order.begin(), order.begin() + k, before);
                for (int64_t i = 0; i < k; ++i) {
                    const int32_t index = order[static_cast<size_t>(i)];
                    if (s.values != nullptr) s.values[r * k + i] = row[index];
                    if (s.indices != nullptr) s.indices[r * k + i] = index;
                }
            }
        });
    });
}

}  // namespace vlm::cpu
