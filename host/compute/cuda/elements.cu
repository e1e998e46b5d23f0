/** @file elements.cu
 *  Operations whose outputs do not depend on each other: copies and casts, gathers, positions, patches. One thread per
 * element; what costs is memory, and neighbours in the output are neighbours in a warp.
 */
#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

namespace {

/** Elements of equal dtype, moved as bytes. */
template <class T>
struct Move {
    const T* from;
    T* to;
    Layout from_layout, to_layout;
    VLM_HD void operator()(int64_t i) const { to[to_layout.offset(i)] = from[from_layout.offset(i)]; }
};

/** Floats of 16 or 32 bits. */
template <class From, class To>
struct Cast {
    const From* from;
    To* to;
    Layout from_layout, to_layout;
    VLM_HD void operator()(int64_t i) const {
        from_float(to_float(from[from_layout.offset(i)]), to[to_layout.offset(i)]);
    }
};

VLM_HD int64_t load_integer(uint32_t dtype, const void* data, int64_t i) {
    return dtype == VLM_DTYPE_I64 ? static_cast<const int64_t*>(data)[i]
                                  : static_cast<int64_t>(load_number(dtype, data, i));
}

/** Every other pair of dtypes. */
struct Convert {
    const void* from;
    void* to;
    uint32_t from_dtype, to_dtype;
    Layout from_layout, to_layout;
    VLM_HD void operator()(int64_t i) const {
        const int64_t source = from_layout.offset(i), target = to_layout.offset(i);
        if (to_dtype == VLM_DTYPE_I64 && from_dtype >> 16 <= VLM_TYPE_UINT)
            static_cast<int64_t*>(to)[target] = load_integer(from_dtype, from, source);
        else
            store_number(to_dtype, to, target, load_number(from_dtype, from, source));
    }
};

struct Fill {
    void* to;
    uint32_t dtype;
    Layout layout;
    double value;
    VLM_HD void operator()(int64_t i) const { store_number(dtype, to, layout.offset(i), value); }
};

/** Calls `fn` with the type of a 16- or 32-bit float; false for others. */
template <class Fn>
bool with_float(uint32_t dtype, const Fn& fn) {
    switch (dtype) {
        case VLM_DTYPE_F32:
            fn(float{});
            return true;
        case VLM_DTYPE_BF16:
            fn(Bf16{});
            return true;
        case VLM_DTYPE_F16:
            fn(F16{});
            return true;
        default:
            return false;
    }
}

template <class T>
void move(const Queue& queue, int64_t count, const void* from, const Layout& from_layout, void* to,
          const Layout& to_layout) {
    launch_items(queue, "copy", count,
                 Move<T>{static_cast<const T*>(from), static_cast<T*>(to), from_layout, to_layout});
}

template <class T>
struct Gather {
    static constexpr int kThreads = 128;
    const void* x;
    uint32_t x_dtype;
    int64_t x_stride, n;
    const int32_t* rows;
    int64_t size;
    T* y;
    int64_t y_stride;
    int32_t* fault;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t row = rows[block.index()];
        T* to = y + block.index() * y_stride;
        const bool present = row >= 0 && row < n;
        if (row >= n && block.thread() == 0) *fault = static_cast<int32_t>(Fault::gather);
        for (int64_t i = block.thread(); i < size; i += block.threads())
            from_float(present ? static_cast<float>(load_number(x_dtype, x, row * x_stride + i)) : 0.0f, to[i]);
    }
};

/** Rows of the output's dtype, 16 bytes at a time: size and strides are vectors. */
struct GatherVectors {
    static constexpr int kThreads = 128;
    const Vector* x;
    int64_t x_stride, n;
    const int32_t* rows;
    int64_t size;
    Vector* y;
    int64_t y_stride;
    int32_t* fault;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t row = rows[block.index()];
        const bool present = row >= 0 && row < n;
        if (row >= n && block.thread() == 0) *fault = static_cast<int32_t>(Fault::gather);
        for (int64_t i = block.thread(); i < size; i += block.threads())
            store_vector(y + block.index() * y_stride + i,
                         present ? load_vector(x + row * x_stride + i) : Vector{{0, 0, 0, 0}});
    }
};

struct RopeAngles {
    RopeTable t;
    VLM_HD void operator()(int64_t i) const {
        const int64_t row = i / t.frequencies, f = i % t.frequencies;
        const int64_t at = (t.axis != nullptr ? t.axis[f] : 0) * t.n + row;
        const float position = t.integers ? static_cast<float>(static_cast<const int32_t*>(t.positions)[at])
                                          : static_cast<const float*>(t.positions)[at];
        const float angle = position * t.inv_freq[f];
        t.cos[i] = cosf(angle) * t.scaling;
        t.sin[i] = sinf(angle) * t.scaling;
    }
};

template <class T>
struct Rotate {
    Rope r;
    VLM_HD void operator()(int64_t i) const {
        const auto [line, f] = split(i, r.frequencies);
        const auto [row, head] = split(line, r.heads);
        const int64_t first = r.interleaved ? 2 * f : f, second = r.interleaved ? 2 * f + 1 : f + r.frequencies;
        T* x = static_cast<T*>(r.x) + row * r.stride_row + head * r.stride_head;
        T& a = x[first * r.stride_element];
        T& b = x[second * r.stride_element];
        const float cos = r.cos[row * r.frequencies + f], sin = r.sin[row * r.frequencies + f];
        const float left = to_float(a), right = to_float(b);
        from_float(left * cos - right * sin, a);
        from_float(right * cos + left * sin, b);
    }
};

/** Eight neighbouring pairs of a head at a time, where halves are rotated and memory can be read so. */
template <class T>
struct RotateEights {
    Rope r;
    VLM_HD void operator()(int64_t i) const {
        const auto [line, piece] = split(i, r.frequencies / 8);
        const auto [row, head] = split(line, r.heads);
        T* x = static_cast<T*>(r.x) + row * r.stride_row + head * r.stride_head + 8 * piece;
        const int64_t at = row * r.frequencies + 8 * piece;
        float cos[8], sin[8], left[8], right[8], turned[8];
        load8(r.cos + at, cos);
        load8(r.sin + at, sin);
        load8(x, left);
        load8(x + r.frequencies, right);
        VLM_UNROLL
        for (int k = 0; k < 8; ++k) turned[k] = left[k] * cos[k] - right[k] * sin[k];
        store8(x, turned);
        VLM_UNROLL
        for (int k = 0; k < 8; ++k) turned[k] = right[k] * cos[k] + left[k] * sin[k];
        store8(x + r.frequencies, turned);
    }
};

template <class T>
struct CutPatches {
    Patches p;
    VLM_HD void operator()(int64_t i) const {
        const auto [patch, place] = split(i, p.channels * p.height * p.width);
        int64_t channel, u, v;
        if (p.channel_last) {
            const auto [pixel, c] = split(place, p.channels);
            channel = c;
            u = split(pixel, p.width).rest;
            v = split(pixel, p.width).quotient;
        } else {
            const auto [line, across] = split(place, p.width);
            u = across;
            v = split(line, p.height).rest;
            channel = split(line, p.height).quotient;
        }
        const auto [line, column] = split(patch, p.columns);
        const auto [image, row] = split(line, p.rows);
        const float pixel = p.pixels[image * p.stride[0] + channel * p.stride[1] + (row * p.height + v) * p.stride[2] +
                                     (column * p.width + u) * p.stride[3]];
        from_float(pixel, p.y.row<T>(patch)[place]);
    }
};

template <class T>
struct Mean {
    const T* x;
    Layout outputs;
    int64_t n, step;
    T* y;
    VLM_HD void operator()(int64_t i) const {
        const T* first = x + outputs.offset(i);
        double sum = 0.0;
        for (int64_t j = 0; j < n; ++j) sum += static_cast<double>(to_float(first[j * step]));
        from_float(static_cast<float>(sum / static_cast<double>(n)), y[i]);
    }
};

struct Interpolate {
    static constexpr int kThreads = 128;
    TapList vertical, horizontal;
    RowLayout x, y;
    int64_t x_width, y_width;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t line = block.index() / y_width, column = block.index() % y_width;
        float* to = y.row<float>(block.index());
        for (int64_t d = block.thread(); d < x.columns; d += block.threads()) {
            float sum = 0.0f;
            for (int32_t v = vertical.begin[line]; v < vertical.begin[line + 1]; ++v) {
                float across = 0.0f;
                for (int32_t h = horizontal.begin[column]; h < horizontal.begin[column + 1]; ++h)
                    across += horizontal.weight[h] * x.row<float>(vertical.index[v] * x_width + horizontal.index[h])[d];
                sum += vertical.weight[v] * across;
            }
            to[d] = sum;
        }
    }
};

template <class Fn>
void with_activation(uint32_t dtype, const Fn& fn) {
    if (dtype == VLM_DTYPE_BF16) {
        fn(Bf16{});
    } else {
        fn(float{});
    }
}

int64_t bytes_of(uint32_t dtype) {
    return (dtype & 0xFFFFu) / 8;
}

}  // namespace

void launch_copy(const Queue& queue, int64_t count, uint32_t from_dtype, const void* from, const Layout& from_layout,
                 uint32_t to_dtype, void* to, const Layout& to_layout) {
    if (from_dtype == to_dtype) {
        switch (bytes_of(from_dtype)) {
            case 1:
                return move<uint8_t>(queue, count, from, from_layout, to, to_layout);
            case 2:
                return move<uint16_t>(queue, count, from, from_layout, to, to_layout);
            case 4:
                return move<uint32_t>(queue, count, from, from_layout, to, to_layout);
            default:
                return move<uint64_t>(queue, count, from, from_layout, to, to_layout);
        }
    }
    bool done = false;
    with_float(from_dtype, [&](auto source) {
        done = with_float(to_dtype, [&](auto target) {
            using From = decltype(source);
            using To = decltype(target);
            launch_items(queue, "copy", count,
                         Cast<From, To>{static_cast<const From*>(from), static_cast<To*>(to), from_layout, to_layout});
        });
    });
    if (!done) launch_items(queue, "copy", count, Convert{from, to, from_dtype, to_dtype, from_layout, to_layout});
}

void launch_fill(const Queue& queue, int64_t count, uint32_t dtype, void* to, const Layout& layout, double value) {
    launch_items(queue, "fill", count, Fill{to, dtype, layout, value});
}

void launch_gather(const Queue& queue, uint32_t dtype, uint32_t x_dtype, const void* x, int64_t x_stride, int64_t n,
                   const int32_t* rows, int64_t count, int64_t size, void* y, int64_t y_stride, int32_t* fault) {
    const int64_t bytes = bytes_of(dtype), each = 16 / bytes;
    if (x_dtype == dtype && size % each == 0 && in_vectors(x, x_stride, bytes) && in_vectors(y, y_stride, bytes)) {
        launch(queue, "gather", {count},
               GatherVectors{static_cast<const Vector*>(x), x_stride / each, n, rows, size / each,
                             static_cast<Vector*>(y), y_stride / each, fault});
        return;
    }
    with_activation(dtype, [&](auto tag) {
        using T = decltype(tag);
        launch(queue, "gather", {count},
               Gather<T>{x, x_dtype, x_stride, n, rows, size, static_cast<T*>(y), y_stride, fault});
    });
}

void launch_rope_table(const Queue& queue, const RopeTable& table) {
    launch_items(queue, "rope_table", table.n * table.frequencies, RopeAngles{table});
}

void launch_rope(const Queue& queue, uint32_t dtype, const Rope& rope) {
    with_activation(dtype, [&](auto tag) {
        using T = decltype(tag);
        const int64_t count = rope.n * rope.heads * rope.frequencies;
        const bool eights = !rope.interleaved && rope.stride_element == 1 && rope.frequencies % 8 == 0 &&
                            in_vectors(rope.x, rope.stride_row, sizeof(T)) &&
                            in_vectors(rope.x, rope.stride_head, sizeof(T)) && in_vectors(rope.cos, 0, sizeof(float)) &&
                            in_vectors(rope.sin, 0, sizeof(float));
        if (eights) {
            launch_items(queue, "rope", count / 8, RotateEights<T>{rope});
        } else {
            launch_items(queue, "rope", count, Rotate<T>{rope});
        }
    });
}

void launch_patches(const Queue& queue, uint32_t dtype, const Patches& patches) {
    with_activation(dtype, [&](auto tag) {
        launch_items(queue, "patches", patches.y.count * patches.y.columns, CutPatches<decltype(tag)>{patches});
    });
}

void launch_mean(const Queue& queue, uint32_t dtype, const void* x, const Layout& outputs, int64_t n, int64_t step,
                 int64_t count, void* y) {
    with_activation(dtype, [&](auto tag) {
        using T = decltype(tag);
        launch_items(queue, "mean", count, Mean<T>{static_cast<const T*>(x), outputs, n, step, static_cast<T*>(y)});
    });
}

void launch_interpolate(const Queue& queue, const TapList& vertical, const TapList& horizontal, const RowLayout& x,
                        int64_t x_width, const RowLayout& y, int64_t y_width) {
    launch(queue, "interpolate", {y.count}, Interpolate{vertical, horizontal, x, y, x_width, y_width});
}

}  // namespace vlm::cuda
