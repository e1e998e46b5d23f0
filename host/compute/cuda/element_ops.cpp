/** @file element_ops.cpp
 *  gather, permute, patches, mean, rope_table, rope, interpolate: checks in front of elements.cu. What a call needs
 * from the host (frequencies, taps) is small and travels with it.
 */
#include <algorithm>
#include <vector>

#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/memory.hpp"
#include "host/compute/cuda/table.hpp"
#include "host/compute/taps.hpp"

namespace vlm::cuda {

namespace {

bool is_float(uint32_t dtype) {
    const uint32_t code = dtype >> 16;
    return code == VLM_TYPE_FLOAT || code == VLM_TYPE_BFLOAT || code == VLM_TYPE_FLOAT8_E4M3FN ||
           code == VLM_TYPE_FLOAT8_E5M2;
}

/** Host numbers on the GPU for the time of one operation. */
template <class T>
class Uploaded {
  public:
    Uploaded(State& state, const Queue& queue, const std::vector<T>& values)
        : memory_(state, queue, static_cast<int64_t>(values.size() * sizeof(T))) {
        if (!values.empty())
            state.upload(queue, values.data(), memory_.as<void>(), static_cast<int64_t>(values.size() * sizeof(T)));
    }
    const T* get() const { return memory_.as<const T>(); }

  private:
    Temporary memory_;
};

void expect_rows(const View& x, const View& y) {
    bool equal = x.ndim == y.ndim && x.ndim >= 1;
    for (int32_t d = 1; equal && d < x.ndim; ++d) equal = x.dim(d) == y.dim(d);
    if (!equal) throw invalid_argument(x.text() + " and " + y.text() + " differ behind the first dimension");
}

int64_t row_size(const View& v) {
    int64_t size = 1;
    for (int32_t d = v.ndim - 1; d >= 1; --d) {
        if (v.dim(d) != 1 && v.strides[static_cast<size_t>(d)] != size)
            throw invalid_argument(v.text() + " is strided behind its first dimension, expected compact rows");
        size *= v.dim(d);
    }
    return size;
}

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

/** Taps of one direction on the GPU. */
class UploadedTaps {
  public:
    UploadedTaps(State& state, const Queue& queue, const Taps& taps)
        : flat_(flatten(taps)),
          begin_(state, queue, flat_.begin),
          index_(state, queue, flat_.index),
          weight_(state, queue, flat_.weight) {}
    TapList list() const { return {begin_.get(), index_.get(), weight_.get()}; }

  private:
    struct Flat {
        std::vector<int32_t> begin, index;
        std::vector<float> weight;
    };
    static Flat flatten(const Taps& taps) {
        Flat flat;
        flat.begin.push_back(0);
        for (const auto& list : taps) {
            for (const Tap& tap : list) {
                flat.index.push_back(static_cast<int32_t>(tap.index));
                flat.weight.push_back(tap.weight);
            }
            flat.begin.push_back(static_cast<int32_t>(flat.index.size()));
        }
        return flat;
    }
    Flat flat_;
    Uploaded<int32_t> begin_, index_;
    Uploaded<float> weight_;
};

}  // namespace

vlm_status gather(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const vlm_tensor* rows,
                  vlm_tensor* y) {
    return guarded(self, run, "gather", [&](State& state, const Queue& queue) {
        const View from = state.view(x, "x", 0), to = state.activation(y, "y");
        const View index = state.compact(rows, "rows", VLM_DTYPE_I32, 1);
        if (!is_float(from.dtype)) throw invalid_argument(from.text() + " is no float tensor");
        expect_rows(from, to);
        if (to.dim(0) != index.elements)
            throw invalid_argument(to.text() + " has " + std::to_string(to.dim(0)) + " rows, " + index.text() +
                                   " names " + std::to_string(index.elements));
        const int64_t size = row_size(from);
        row_size(to);
        if (to.elements == 0) return;
        launch_gather(queue, state.options.activation_dtype, from.dtype, from.bytes, from.strides[0], from.dim(0),
                      index.data<const int32_t>(), index.elements, size, to.bytes, to.strides[0], state.fault());
    });
}

vlm_status permute(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, const int32_t* axes,
                   vlm_tensor* y) {
    return guarded(self, run, "permute", [&](State& state, const Queue& queue) {
        const View from = state.view(x, "x", 0);
        const View to = state.view(y, "y", from.dtype, from.ndim);
        if (axes == nullptr && from.ndim > 0) throw invalid_argument("axes is NULL");
        uint32_t used = 0;
        View turned = from;
        for (int32_t d = 0; d < from.ndim; ++d) {
            if (axes[d] < 0 || axes[d] >= from.ndim || (used & (1u << axes[d])) != 0)
                throw invalid_argument("axes[" + std::to_string(d) + "] is " + std::to_string(axes[d]) +
                                       ": the axes are no permutation of the " + std::to_string(from.ndim) +
                                       " dimensions");
            used |= 1u << axes[d];
            if (to.dim(d) != from.dim(axes[d]))
                throw invalid_argument(from.text() + " permuted does not have the shape of " + to.text());
            turned.shape[static_cast<size_t>(d)] = from.dim(axes[d]);
            turned.strides[static_cast<size_t>(d)] = from.strides[static_cast<size_t>(axes[d])];
        }
        if (from.elements > 0)
            launch_copy(queue, from.elements, from.dtype, turned.bytes, layout_of(turned), to.dtype, to.bytes,
                        layout_of(to));
    });
}

vlm_status patches(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* pixels, int32_t patch_height,
                   int32_t patch_width, int32_t order, vlm_tensor* y) {
    return guarded(self, run, "patches", [&](State& state, const Queue& queue) {
        const View p = state.view(pixels, "pixels", VLM_DTYPE_F32, 4);
        if (patch_height < 1 || patch_width < 1)
            throw invalid_argument("a patch of " + std::to_string(patch_height) + " x " + std::to_string(patch_width) +
                                   ", expected at least 1 x 1");
        if (order != VLM_PATCH_CHANNEL_FIRST && order != VLM_PATCH_CHANNEL_LAST)
            throw invalid_argument("order " + std::to_string(order) + " is unknown");
        Patches cut{};
        cut.pixels = p.data<const float>();
        std::copy_n(p.strides.begin(), 4, cut.stride);
        cut.channels = p.dim(1);
        cut.height = patch_height;
        cut.width = patch_width;
        cut.rows = p.dim(2) / patch_height;
        cut.columns = p.dim(3) / patch_width;
        cut.channel_last = order == VLM_PATCH_CHANNEL_LAST;
        const View to = state.activation(y, "y");
        cut.y = rows_of(to);
        const int64_t count = p.dim(0) * cut.rows * cut.columns, size = cut.channels * cut.height * cut.width;
        if (cut.y.count != count || cut.y.columns != size)
            throw invalid_argument(to.text() + " does not fit " + p.text() + ": expected [" + std::to_string(count) +
                                   ", " + std::to_string(size) + "]");
        if (to.elements > 0) launch_patches(queue, state.options.activation_dtype, cut);
    });
}

vlm_status mean(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* x, int32_t axis, vlm_tensor* y) {
    return guarded(self, run, "mean", [&](State& state, const Queue& queue) {
        const View from = state.activation(x, "x");
        const View to = state.compact(y, "y", state.options.activation_dtype);
        if (axis < 0 || axis >= from.ndim)
            throw invalid_argument("axis " + std::to_string(axis) + " of " + from.text());
        View outputs = from;
        outputs.ndim = 0;
        const bool kept = to.ndim == from.ndim;
        bool fits = kept || to.ndim == from.ndim - 1;
        for (int32_t d = 0, e = 0; fits && d < from.ndim; ++d) {
            if (d == axis) {
                if (kept) fits = to.dim(e++) == 1;
                continue;
            }
            const auto place = static_cast<size_t>(outputs.ndim++);
            outputs.shape[place] = from.dim(d);
            outputs.strides[place] = from.strides[static_cast<size_t>(d)];
            fits = to.dim(e++) == from.dim(d);
        }
        if (!fits)
            throw invalid_argument(to.text() + " is not " + from.text() + " without dimension " + std::to_string(axis));
        if (to.elements == 0) return;
        if (from.dim(axis) == 0)
            throw invalid_argument("the mean over nothing: dimension " + std::to_string(axis) + " of " + from.text());
        launch_mean(queue, state.options.activation_dtype, from.bytes, layout_of(outputs), from.dim(axis),
                    from.strides[static_cast<size_t>(axis)], to.elements, to.bytes);
    });
}

vlm_status rope_table(const vlm_compute* self, const vlm_run_context* run, const vlm_rope_spec* spec,
                      const vlm_tensor* positions, vlm_tensor* cos, vlm_tensor* sin) {
    return guarded(self, run, "rope_table", [&](State& state, const Queue& queue) {
        check_spec(spec);
        View p =
            on_cpu(positions) ? cpu::compact_view(positions, "positions", 0) : state.compact(positions, "positions", 0);
        if (p.dtype != VLM_DTYPE_I32 && p.dtype != VLM_DTYPE_F32)
            throw invalid_argument(p.text() + " has the wrong dtype, expected i32 or f32");
        const int64_t n = p.last();
        if (p.elements != n * spec->axes || p.ndim < 1 || p.ndim > 2)
            throw invalid_argument(p.text() + ", expected [" + std::to_string(spec->axes) + ", n]");
        const View c = state.compact(cos, "cos", VLM_DTYPE_F32), s = state.compact(sin, "sin", VLM_DTYPE_F32);
        cpu::expect_shape(c, {n, spec->frequencies});
        cpu::expect_shape(s, {n, spec->frequencies});
        if (n == 0) return;
        std::unique_ptr<Temporary> uploaded;
        if (on_cpu(positions)) {
            uploaded = std::make_unique<Temporary>(state, queue, p.elements * 4);
            state.upload(queue, p.bytes, uploaded->as<void>(), p.elements * 4);
            p.bytes = uploaded->as<std::byte>();
        }
        const auto count = static_cast<size_t>(spec->frequencies);
        const Uploaded<float> frequencies(state, queue, {spec->inv_freq, spec->inv_freq + count});
        const Uploaded<int32_t> axis(state, queue,
                                     spec->axis != nullptr ? std::vector<int32_t>(spec->axis, spec->axis + count)
                                                           : std::vector<int32_t>(count, 0));
        launch_rope_table(queue, {p.bytes, p.dtype == VLM_DTYPE_I32, n, spec->frequencies, frequencies.get(),
                                  axis.get(), spec->attention_scaling, c.data<float>(), s.data<float>()});
    });
}

vlm_status rope(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* x, const vlm_tensor* cos,
                const vlm_tensor* sin, int32_t interleaved) {
    return guarded(self, run, "rope", [&](State& state, const Queue& queue) {
        const View v = state.activation(x, "x", 3);
        const View c = state.compact(cos, "cos", VLM_DTYPE_F32, 2), s = state.compact(sin, "sin", VLM_DTYPE_F32, 2);
        cpu::expect_same_shape(c, s);
        const int64_t half = c.dim(1);
        if (c.dim(0) != v.dim(0) || 2 * half > v.dim(2))
            throw invalid_argument(v.text() + " does not fit " + c.text() + ": expected [" + std::to_string(v.dim(0)) +
                                   ", at most " + std::to_string(v.dim(2) / 2) + "]");
        if (v.elements == 0 || half == 0) return;
        launch_rope(queue, state.options.activation_dtype,
                    {v.bytes, v.dim(0), v.dim(1), v.strides[0], v.strides[1], v.strides[2], c.data<const float>(),
                     s.data<const float>(), half, interleaved != 0});
    });
}

vlm_status interpolate(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, int32_t mode,
                       int32_t align_corners, int32_t antialias, vlm_tensor* dst) {
    return guarded(self, run, "interpolate", [&](State& state, const Queue& queue) {
        const View from = state.view(src, "src", VLM_DTYPE_F32, 3), to = state.view(dst, "dst", VLM_DTYPE_F32, 3);
        if (mode != VLM_INTERPOLATE_BILINEAR && mode != VLM_INTERPOLATE_BICUBIC)
            throw invalid_argument("mode " + std::to_string(mode) + " is unknown");
        if (from.dim(2) != to.dim(2)) throw invalid_argument(from.text() + " and " + to.text() + " differ in dim");
        if (to.elements == 0) return;
        if (from.elements == 0) throw invalid_argument(from.text() + " is empty");
        const TapRule rule{mode == VLM_INTERPOLATE_BICUBIC, align_corners != 0, antialias != 0};
        const UploadedTaps vertical(state, queue, make_taps(from.dim(0), to.dim(0), rule));
        const UploadedTaps horizontal(state, queue, make_taps(from.dim(1), to.dim(1), rule));
        launch_interpolate(queue, vertical.list(), horizontal.list(), rows_of(from), from.dim(1), rows_of(to),
                           to.dim(1));
    });
}

}  // namespace vlm::cuda
