/** @file token_ops.cpp
 *  scatter_mean, merge_map, keep_map, carry_map: checks in front of tokens.cu.
 *
 *  Shapes are host numbers, so the number of groups has to be one too. With a fixed number of merges it is arithmetic,
 * and nothing is read back; only a threshold has to wait for one number. Where the CPU device can look at the scores
 * this one cannot, so with a threshold of -infinity a score of NaN or -infinity still merges when its turn comes
 * (last), instead of being refused; the count would not be known otherwise.
 */
#include <algorithm>
#include <cmath>

#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

/** Elements of a row of `x`, which must fit `y` and be compact behind the first dimension. */
int64_t common_row(const View& x, const View& y) {
    bool equal = x.ndim == y.ndim && x.ndim >= 1;
    int64_t size = 1;
    for (int32_t d = x.ndim - 1; equal && d >= 1; --d) {
        const auto i = static_cast<size_t>(d);
        equal = x.dim(d) == y.dim(d);
        if (equal && x.dim(d) != 1 && (x.strides[i] != size || y.strides[i] != size))
            throw invalid_argument(x.text() + " or " + y.text() +
                                   " is strided behind its first dimension, expected compact rows");
        size *= x.dim(d);
    }
    if (!equal) throw invalid_argument(x.text() + " and " + y.text() + " differ behind the first dimension");
    return size;
}

}  // namespace

vlm_status scatter_mean(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                        const vlm_tensor* groups, const vlm_tensor* weights, vlm_tensor* y) {
    return guarded(self, run, "scatter_mean", [&](State& state, const Queue& queue) {
        // Scores are f32 whatever the activations are; both sides then are.
        const View from = state.view(x, "x", 0), to = state.view(y, "y", from.dtype);
        if (from.dtype != state.options.activation_dtype && from.dtype != VLM_DTYPE_F32)
            throw invalid_argument(from.text() + " has the wrong dtype, expected " +
                                   cpu::dtype_text(state.options.activation_dtype) + " or f32");
        const int64_t size = common_row(from, to), n = from.dim(0), count = to.dim(0);
        const View map = state.compact(groups, "groups", VLM_DTYPE_I32, 1);
        if (map.elements != n) throw invalid_argument(map.text() + " does not fit " + from.text());
        const View weight = state.vector(weights, "weights", VLM_DTYPE_F32, n);
        if (to.elements == 0) return;
        const Temporary begin(state, queue, checked_product(count + 1, 4)), members(state, queue, n * 4);
        launch_group_members(queue, map.data<const int32_t>(), n, count, begin.as<int32_t>(), members.as<int32_t>(),
                             state.fault());
        launch_group_means(queue, from.dtype, from.bytes, from.strides[0], weight.data<const float>(),
                           begin.as<int32_t>(), members.as<int32_t>(), count, size, to.bytes, to.strides[0]);
    });
}

vlm_status merge_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                     const vlm_tensor* partners, float threshold, int64_t limit, int64_t protected_tokens,
                     vlm_tensor* groups, int64_t* group_count) {
    return guarded(self, run, "merge_map", [&](State& state, const Queue& queue) {
        const View map = state.compact(groups, "groups", VLM_DTYPE_I32, 1);
        const int64_t n = map.elements, evens = (n + 1) / 2;
        if (group_count == nullptr) throw invalid_argument("group_count is NULL");
        if (limit < 0 || protected_tokens < 0)
            throw invalid_argument("limit " + std::to_string(limit) + " or protected_tokens " +
                                   std::to_string(protected_tokens) + " is negative");
        if (scores == nullptr || partners == nullptr) throw invalid_argument("scores or partners is NULL");
        MergeMap call{};
        call.scores = state.vector(scores, "scores", VLM_DTYPE_F32, evens).data<const float>();
        call.partners = state.vector(partners, "partners", VLM_DTYPE_I32, evens).data<const int32_t>();
        *group_count = n;
        if (n == 0) return;
        const Temporary merged(state, queue, evens), survivors(state, queue, 4);
        call.n = n;
        call.threshold = threshold;
        call.everything = std::isinf(threshold) && threshold < 0;
        call.limit = limit;
        call.protected_tokens = protected_tokens;
        call.merged = merged.as<uint8_t>();
        call.groups = map.data<int32_t>();
        call.survivors = survivors.as<int32_t>();
        call.fault = state.fault();
        launch_merge_map(queue, call);
        if (call.everything) {
            const int64_t silent = std::min(evens, (protected_tokens + 1) / 2);
            *group_count = n > 1 ? n - std::min(limit, evens - silent) : n;
        } else {
            int32_t left = 0;
            state.download(queue, survivors.as<int32_t>(), &left, sizeof(left));
            *group_count = left + n / 2;
        }
    });
}

vlm_status keep_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* scores,
                    const vlm_tensor* droppable, int64_t keep, vlm_tensor* groups) {
    return guarded(self, run, "keep_map", [&](State& state, const Queue& queue) {
        const View map = state.compact(groups, "groups", VLM_DTYPE_I32, 1);
        const int64_t n = map.elements;
        if (keep < 0) throw invalid_argument("keep " + std::to_string(keep) + " is negative");
        if (scores == nullptr || droppable == nullptr) throw invalid_argument("scores or droppable is NULL");
        const View score = state.vector(scores, "scores", VLM_DTYPE_F32, n);
        const View flags = state.vector(droppable, "droppable", 0, n);
        if (flags.dtype != VLM_DTYPE_U8 && flags.dtype != VLM_DTYPE_BOOL)
            throw invalid_argument(flags.text() + " has the wrong dtype, expected u8");
        if (n == 0) return;
        const Temporary kept(state, queue, n);
        launch_keep_map(queue, {score.data<const float>(), flags.data<const uint8_t>(), n, keep, kept.as<uint8_t>(),
                                map.data<int32_t>()});
    });
}

vlm_status carry_map(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* groups,
                     const vlm_tensor* sizes, const vlm_tensor* origins, vlm_tensor* row_of_position,
                     vlm_tensor* new_sizes, vlm_tensor* log_sizes, vlm_tensor* new_origins) {
    return guarded(self, run, "carry_map", [&](State& state, const Queue& queue) {
        const View map = state.compact(groups, "groups", VLM_DTYPE_I32, 1);
        const View totals = state.compact(new_sizes, "new_sizes", VLM_DTYPE_F32, 1);
        CarryMap call{};
        call.groups = map.data<const int32_t>();
        call.n = map.elements;
        call.count = totals.elements;
        call.sizes = state.vector(sizes, "sizes", VLM_DTYPE_F32, call.n).data<const float>();
        call.origins = state.vector(origins, "origins", VLM_DTYPE_I32, call.n).data<const int32_t>();
        call.new_sizes = totals.data<float>();
        call.log_sizes = state.vector(log_sizes, "log_sizes", VLM_DTYPE_F32, call.count).data<float>();
        call.new_origins = state.vector(new_origins, "new_origins", VLM_DTYPE_I32, call.count).data<int32_t>();
        if (row_of_position != nullptr) {
            const View rows = state.compact(row_of_position, "row_of_position", VLM_DTYPE_I32, 1);
            if (call.origins == nullptr && rows.elements > call.n)
                throw invalid_argument(rows.text() + " has more positions than " + map.text() + " has tokens");
            call.rows = rows.data<int32_t>();
            call.positions = rows.elements;
        }
        call.fault = state.fault();
        launch_carry_map(queue, call);
    });
}

}  // namespace vlm::cuda
