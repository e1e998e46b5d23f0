/** @file gather.cpp
 *  gather and scatter_mean: rows by index, and their inverse.
 *
 *  An embedding table stays as the file has it (bf16, f16, mapped from disk); only the rows that are looked up are
 * converted. The mean first sorts the rows by group with a counting sort, then each group is summed by one thread in
 * the order of the rows: the same bits every time, and no row is read twice.
 */
#include <algorithm>
#include <cstring>
#include <vector>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kRowGrain = 16;

/** Elements of one row, whose trailing dimensions must be compact. */
int64_t row_size(const View& v) {
    int64_t size = 1;
    for (int32_t d = v.ndim - 1; d >= 1; --d) {
        if (v.dim(d) != 1 && v.strides[static_cast<size_t>(d)] != size)
            throw invalid_argument(v.text() + " is strided behind its first dimension, expected compact rows");
        size *= v.dim(d);
    }
    return size;
}

void expect_rows(const View& x, const View& y) {
    bool equal = x.ndim == y.ndim && x.ndim >= 1;
    for (int32_t d = 1; equal && d < x.ndim; ++d) equal = x.dim(d) == y.dim(d);
    if (!equal) throw invalid_argument(x.text() + " and " + y.text() + " differ behind the first dimension");
}

}  // namespace

vlm_status gather(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* rows,
                  vlm_tensor* y) {
    return guarded(self, run, Op::gather, [&](State& state) {
        const View from = view_of(x, "x", 0), to = view_of(y, "y", VLM_DTYPE_F32);
        const View index = compact_view(rows, "rows", VLM_DTYPE_I32, 1);
        if (!is_float(from.dtype)) throw invalid_argument(from.text() + " is no float tensor");
        expect_rows(from, to);
        if (to.dim(0) != index.elements)
            throw invalid_argument(to.text() + " has " + std::to_string(to.dim(0)) + " rows, " + index.text() +
                                   " names " + std::to_string(index.elements));
        const int64_t size = row_size(from);
        row_size(to);
        const int32_t* wanted = index.data<int32_t>();
        for (int64_t i = 0; i < index.elements; ++i)
            if (wanted[i] >= from.dim(0))
                throw Error(VLM_STATUS_OUT_OF_RANGE, "rows[" + std::to_string(i) + "] is " + std::to_string(wanted[i]) +
                                                         ", " + from.text() + " has " + std::to_string(from.dim(0)));
        if (to.elements == 0) return;
        state.pool.parallel_for(0, index.elements, kRowGrain, [&](int64_t begin, int64_t end) {
            for (int64_t i = begin; i < end; ++i) {
                float* target = to.data<float>() + i * to.strides[0];
                if (wanted[i] < 0) {
                    std::fill_n(target, size, 0.0f);
                    continue;
                }
                with_type(from.dtype, [&](auto tag) {
                    using T = decltype(tag);
                    const T* source = from.data<const T>() + wanted[i] * from.strides[0];
                    for (int64_t k = 0; k < size; ++k) target[k] = to_float(source[k]);
                });
            }
        });
    });
}

vlm_status scatter_mean(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x,
                        const vlm_tensor* groups, const vlm_tensor* weights, vlm_tensor* y) {
    return guarded(self, run, Op::scatter_mean, [&](State& state) {
        const View from = view_of(x, "x", VLM_DTYPE_F32), to = view_of(y, "y", VLM_DTYPE_F32);
        expect_rows(from, to);
        const int64_t n = from.dim(0), count = to.dim(0), size = row_size(from);
        row_size(to);
        const View map = compact_view(groups, "groups", VLM_DTYPE_I32, 1);
        if (map.elements != n) throw invalid_argument(map.text() + " does not fit " + from.text());
        const View weight = optional_vector(weights, "weights", VLM_DTYPE_F32, n);
        const int32_t* group = map.data<int32_t>();
        std::vector<int64_t> start(static_cast<size_t>(count) + 1, 0), order(static_cast<size_t>(n));
        for (int64_t i = 0; i < n; ++i) {
            if (group[i] >= count)
                throw Error(VLM_STATUS_OUT_OF_RANGE, "groups[" + std::to_string(i) + "] is " +
                                                         std::to_string(group[i]) + ", " + to.text() + " has " +
                                                         std::to_string(count) + " groups");
            if (group[i] >= 0) ++start[static_cast<size_t>(group[i]) + 1];
        }
        for (size_t g = 1; g < start.size(); ++g) start[g] += start[g - 1];
        std::vector<int64_t> next(start.begin(), start.end());
        for (int64_t i = 0; i < n; ++i)
            if (group[i] >= 0) order[static_cast<size_t>(next[static_cast<size_t>(group[i])]++)] = i;
        if (to.elements == 0) return;
        const Kernels& table = kernels();
        state.pool.parallel_for(0, count, kRowGrain, [&](int64_t begin, int64_t end) {
            for (int64_t g = begin; g < end; ++g) {
                float* target = to.data<float>() + g * to.strides[0];
                const auto at = static_cast<size_t>(g);
                if (start[at + 1] - start[at] == 1 && weight.bytes == nullptr) {
                    const int64_t i = order[static_cast<size_t>(start[at])];
                    std::copy_n(from.data<const float>() + i * from.strides[0], size, target);
                    continue;
                }
                std::fill_n(target, size, 0.0f);
                float total = 0.0f;
                for (int64_t k = start[at]; k < start[at + 1]; ++k) {
                    const int64_t i = order[static_cast<size_t>(k)];
                    const float w = weight.bytes != nullptr ? weight.data<float>()[i] : 1.0f;
                    table.add(target, from.data<float>() + i * from.strides[0], w, target, size);
                    total += w;
                }
                if (total == 0.0f) {
                    std::fill_n(target, size, 0.0f);
                } else {
                    for (int64_t k = 0; k < size; ++k) target[k] /= total;
                }
            }
        });
    });
}

}  // namespace vlm::cpu
