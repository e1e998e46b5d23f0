/** @file row_ops.cpp
 *  layer_norm, rms_norm, l2_normalize, softmax, activation, add, multiply, argmax, top_k: checks in front of rows.cu.
 */
#include <limits>

#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/state.hpp"
#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

/** Calls `fn(x rows, y rows)` for two tensors of one shape. */
template <class Fn>
void for_rows(State& state, const vlm_tensor* x, vlm_tensor* y, Fn&& fn) {
    const View from = state.activation(x, "x"), to = state.activation(y, "y");
    cpu::expect_same_shape(from, to);
    if (from.elements > 0) fn(rows_of(from), rows_of(to));
}

const float* optional_row(State& state, const vlm_tensor* tensor, const char* what, const vlm_tensor* x) {
    return state.vector(tensor, what, VLM_DTYPE_F32, state.activation(x, "x").last()).data<const float>();
}

/** Checks that the shape of `b` is that of the last dimensions of `a` (leading ones of `b` may be 1). */
void expect_broadcast(const View& a, const View& b) {
    bool fits = b.ndim <= a.ndim;
    for (int32_t d = 1; d <= b.ndim; ++d) {
        const int64_t size = b.dim(b.ndim - d);
        if (d <= a.ndim && size == a.dim(a.ndim - d)) continue;
        // From here on only ones may stand before what has matched.
        bool ones = d > 1;
        for (int32_t e = d; e <= b.ndim; ++e) ones = ones && b.dim(b.ndim - e) == 1;
        fits = ones;
        break;
    }
    if (!fits || a.last() != b.last())
        throw invalid_argument(a.text() + " and " + b.text() +
                               " do not fit, expected equal shapes or those of the last dimensions");
}

/** Calls `fn(dtype, rows of a, of b, of y)`. Activations, or, since scores and sizes of tokens are f32 whatever the
 * activations are, f32 on all sides. */
template <class Fn>
void for_pairs(State& state, const vlm_tensor* a, const vlm_tensor* b, vlm_tensor* y, Fn&& fn) {
    const bool exact = state.view(a, "a", 0).dtype == VLM_DTYPE_F32;
    const uint32_t dtype = exact ? uint32_t{VLM_DTYPE_F32} : state.options.activation_dtype;
    const View left = state.view(a, "a", dtype), right = state.view(b, "b", dtype), to = state.view(y, "y", dtype);
    cpu::expect_same_shape(left, to);
    expect_broadcast(left, right);
    if (left.elements > 0) fn(dtype, rows_of(left), rows_of(right), rows_of(to));
}

/** Rows of x and the compact outputs `[rows, k]`. */
struct Selection {
    RowLayout rows;
    float* values;
    int32_t* indices;
};

Selection selection_of(State& state, const vlm_tensor* x, int64_t k, vlm_tensor* values, vlm_tensor* indices) {
    const View view = state.activation(x, "x");
    if (view.ndim < 1) throw invalid_argument(view.text() + ", expected [rows, n]");
    const int64_t n = view.last();
    if (n > std::numeric_limits<int32_t>::max()) throw invalid_argument(view.text() + " is longer than an index");
    if (k < 0 || k > n) throw invalid_argument(std::to_string(k) + " of the elements of " + view.text());
    Selection s{rows_of(view), nullptr, nullptr};
    s.values = state.vector(values, "values", VLM_DTYPE_F32, s.rows.count * k).data<float>();
    s.indices = state.vector(indices, "indices", VLM_DTYPE_I32, s.rows.count * k).data<int32_t>();
    return s;
}

}  // namespace

vlm_status layer_norm(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* gamma,
                      const vlm_tensor* beta, float eps, vlm_tensor* y) {
    return guarded(self, run, "layer_norm", [&](State& state, const Queue& queue) {
        const float* g = optional_row(state, gamma, "gamma", x);
        const float* b = optional_row(state, beta, "beta", x);
        for_rows(state, x, y, [&](const RowLayout& from, const RowLayout& to) {
            launch_layer_norm(queue, state.options.activation_dtype, from, g, b, eps, to);
        });
    });
}

vlm_status rms_norm(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* gamma,
                    float eps, float offset, vlm_tensor* y) {
    return guarded(self, run, "rms_norm", [&](State& state, const Queue& queue) {
        const float* g = optional_row(state, gamma, "gamma", x);
        for_rows(state, x, y, [&](const RowLayout& from, const RowLayout& to) {
            launch_rms_norm(queue, state.options.activation_dtype, from, g, eps, offset, to);
        });
    });
}

vlm_status l2_normalize(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, float eps,
                        vlm_tensor* y) {
    return guarded(self, run, "l2_normalize", [&](State& state, const Queue& queue) {
        for_rows(state, x, y, [&](const RowLayout& from, const RowLayout& to) {
            launch_l2_normalize(queue, state.options.activation_dtype, from, eps, to);
        });
    });
}

vlm_status softmax(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* y) {
    return guarded(self, run, "softmax", [&](State& state, const Queue& queue) {
        for_rows(state, x, y, [&](const RowLayout& from, const RowLayout& to) {
            launch_softmax(queue, state.options.activation_dtype, from, to);
        });
    });
}

vlm_status activation(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, uint32_t kind,
                      vlm_tensor* y) {
    return guarded(self, run, "activation", [&](State& state, const Queue& queue) {
        if (kind > VLM_ACT_SIGMOID) throw invalid_argument("activation " + std::to_string(kind) + " is unknown");
        for_rows(state, x, y, [&](const RowLayout& from, const RowLayout& to) {
            launch_activation(queue, state.options.activation_dtype, from, kind, to);
        });
    });
}

vlm_status add(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
               float scale, vlm_tensor* y) {
    return guarded(self, run, "add", [&](State& state, const Queue& queue) {
        for_pairs(state, a, b, y, [&](uint32_t dtype, const RowLayout& l, const RowLayout& r, const RowLayout& to) {
            launch_add(queue, dtype, l, r, scale, to);
        });
    });
}

vlm_status multiply(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* a, const vlm_tensor* b,
                    vlm_tensor* y) {
    return guarded(self, run, "multiply", [&](State& state, const Queue& queue) {
        for_pairs(state, a, b, y, [&](uint32_t dtype, const RowLayout& l, const RowLayout& r, const RowLayout& to) {
            launch_multiply(queue, dtype, l, r, to);
        });
    });
}

vlm_status argmax(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, vlm_tensor* values,
                  vlm_tensor* indices) {
    return guarded(self, run, "argmax", [&](State& state, const Queue& queue) {
        if (state.activation(x, "x").last() == 0 && state.activation(x, "x").ndim > 0)
            throw invalid_argument(state.activation(x, "x").text() + " has nothing to choose from");
        const Selection s = selection_of(state, x, 1, values, indices);
        launch_argmax(queue, state.options.activation_dtype, s.rows, s.values, s.indices);
    });
}

vlm_status top_k(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t k,
                 vlm_tensor* values, vlm_tensor* indices) {
    return guarded(self, run, "top_k", [&](State& state, const Queue& queue) {
        const Selection s = selection_of(state, x, k, values, indices);
        launch_top_k(queue, state.options.activation_dtype, s.rows, k, s.values, s.indices);
    });
}

}  // namespace vlm::cuda
