/** @file permute.cpp
 *  Dimensions in another order. The output is written front to back, since scattered reads are cheaper than scattered
 * writes; a last dimension that stays last, as in pixel shuffle and patch merging, is copied in one piece. Only bytes
 * move, so every dtype is served by its size.
 */
#include <cstring>

#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kGrainElements = 1 << 14;

template <class T>
void copy_line(const std::byte* from, int64_t stride, std::byte* to, int64_t target_stride, int64_t n) {
    const T* source = reinterpret_cast<const T*>(from);
    T* target = reinterpret_cast<T*>(to);
    if (stride == 1 && target_stride == 1) {
        std::memcpy(target, source, static_cast<size_t>(n) * sizeof(T));
        return;
    }
    for (int64_t i = 0; i < n; ++i) target[i * target_stride] = source[i * stride];
}

}  // namespace

vlm_status permute(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const int32_t* axes,
                   vlm_tensor* y) {
    return guarded(self, run, Op::permute, [&](State& state) {
        const View from = view_of(x, "x", 0);
        const View to = view_of(y, "y", from.dtype, from.ndim);
        if (axes == nullptr && from.ndim > 0) throw invalid_argument("axes is NULL");
        uint32_t used = 0;
        std::array<int64_t, VLM_MAX_DIMS> strides{};
        for (int32_t d = 0; d < from.ndim; ++d) {
            if (axes[d] < 0 || axes[d] >= from.ndim || (used & (1u << axes[d])) != 0)
                throw invalid_argument("axes[" + std::to_string(d) + "] is " + std::to_string(axes[d]) +
                                       ": the axes are no permutation of the " + std::to_string(from.ndim) +
                                       " dimensions");
            used |= 1u << axes[d];
            if (to.dim(d) != from.dim(axes[d]))
                throw invalid_argument(from.text() + " permuted does not have the shape of " + to.text());
            strides[static_cast<size_t>(d)] = from.strides[static_cast<size_t>(axes[d])];
        }
        if (from.elements == 0) return;
        const int64_t size = element_bytes(from.dtype);
        const int32_t last = from.ndim - 1;
        const int64_t columns = from.ndim > 0 ? to.dim(last) : 1, lines = from.elements / columns;
        const int64_t line_stride = from.ndim > 0 ? strides[static_cast<size_t>(last)] : 1;
        const int64_t target_stride = from.ndim > 0 ? to.strides[static_cast<size_t>(last)] : 1;
        const auto copy = size == 1   ? copy_line<uint8_t>
                          : size == 2 ? copy_line<uint16_t>
                          : size == 4 ? copy_line<uint32_t>
                                      : copy_line<uint64_t>;
        state.pool.parallel_for(0, lines, kGrainElements / columns + 1, [&](int64_t begin, int64_t end) {
            for (int64_t line = begin; line < end; ++line) {
                int64_t source = 0, target = 0, rest = line;
                for (int32_t d = last - 1; d >= 0; --d) {
                    const auto i = static_cast<size_t>(d);
                    const int64_t index = rest % to.shape[i];
                    rest /= to.shape[i];
                    source += index * strides[i];
                    target += index * to.strides[i];
                }
                copy(from.bytes + source * size, line_stride, to.bytes + target * size, target_stride, columns);
            }
        });
    });
}

}  // namespace vlm::cpu
