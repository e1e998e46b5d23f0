/** @file tensor.hpp
 *  Tensor views for plugin code: a value type around `vlm_tensor`, with slices and reshapes that copy nothing.
 *
 *  `vlm_tensor` points at its shape, so a copy of the bare struct points into the original. A Tensor keeps shape and
 * strides inside itself and mends the pointers when it is copied. It never owns memory; Scratch (ops.hpp) does.
 */
#pragma once
#include <vlm/tensor.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "vlm/sdk/error.hpp"
#include "vlm/sdk/structs.hpp"

namespace vlm::sdk {

/** A shape, `{rows, columns}`. */
using Shape = std::vector<int64_t>;

/** Bytes of one element of a VLM_DTYPE_*. */
constexpr uint64_t dtype_size(uint32_t dtype) {
    return (dtype & 0xFFFFu) / 8;
}
/** VLM_DTYPE_* of a C++ element type. */
template <typename T>
constexpr uint32_t dtype_of() {
    if constexpr (std::is_same_v<T, float>)
        return VLM_DTYPE_F32;
    else if constexpr (std::is_same_v<T, double>)
        return VLM_DTYPE_F64;
    else if constexpr (std::is_same_v<T, int32_t>)
        return VLM_DTYPE_I32;
    else if constexpr (std::is_same_v<T, int64_t>)
        return VLM_DTYPE_I64;
    else if constexpr (std::is_same_v<T, int8_t>)
        return VLM_DTYPE_I8;
    else {
        static_assert(std::is_same_v<T, uint8_t>, "no VLM_DTYPE_* for this type");
        return VLM_DTYPE_U8;
    }
}
/** Text of a shape for messages: "[3, 4]". */
inline std::string to_string(std::span<const int64_t> shape) {
    std::string out = "[";
    for (const int64_t size : shape) out += (out.size() > 1 ? ", " : "") + std::to_string(size);
    return out + "]";
}
/** Number of elements; throws INVALID_ARGUMENT for a negative size or an overflow. */
inline int64_t element_count(std::span<const int64_t> shape) {
    int64_t count = 1;
    for (const int64_t size : shape) {
        if (size < 0 || (size > 0 && count > std::numeric_limits<int64_t>::max() / size))
            throw invalid_argument("a tensor of shape " + to_string(shape) + " is impossible");
        count *= size;
    }
    return count;
}

/** A borrowed view of a tensor, possibly strided. Cheap to copy. */
class Tensor {
  public:
    Tensor() : tensor_(make_struct<vlm_tensor>()) { bind(); }
    /** Views what `source` views. Throws INVALID_ARGUMENT when NULL, malformed or of more than VLM_MAX_DIMS dimensions.
     */
    explicit Tensor(const vlm_tensor* source, const char* what = "tensor") : tensor_(read_struct(source, what)) {
        const vlm_tensor_view& view = tensor_.view;
        if (view.ndim < 0 || view.ndim > VLM_MAX_DIMS || (view.ndim > 0 && view.shape == nullptr))
            throw invalid_argument(std::string(what) + ": a tensor of " + std::to_string(view.ndim) +
                                   " dimensions is malformed");
        std::copy_n(view.shape, view.ndim, shape_.begin());
        element_count(shape());
        if (view.strides != nullptr)
            std::copy_n(view.strides, view.ndim, strides_.begin());
        else
            set_compact();
        bind();
    }
    /** Views compact memory. */
    Tensor(void* data, uint32_t dtype, std::span<const int64_t> shape, vlm_device device = {VLM_DEVICE_CPU, 0})
        : tensor_(make_struct<vlm_tensor>()) {
        if (shape.size() > VLM_MAX_DIMS) throw invalid_argument("a tensor has at most 8 dimensions");
        tensor_.view.data = data;
        tensor_.view.device = device;
        tensor_.view.ndim = static_cast<int32_t>(shape.size());
        tensor_.view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFF), 1};
        std::copy(shape.begin(), shape.end(), shape_.begin());
        element_count(shape);
        set_compact();
        bind();
    }
    /** Another view of the same memory. */
    Tensor(const Tensor& other) : tensor_(other.tensor_), shape_(other.shape_), strides_(other.strides_) { bind(); }
    /** Another view of the same memory. */
    Tensor& operator=(const Tensor& other) {
        tensor_ = other.tensor_;
        shape_ = other.shape_;
        strides_ = other.strides_;
        bind();
        return *this;
    }

    /** False for a default-made Tensor: there is no tensor here. */
    explicit operator bool() const { return tensor_.view.dtype.bits != 0; }
    /** For calls to the host; NULL when there is no tensor. Valid while this object lives. */
    const vlm_tensor* get() const { return *this ? &tensor_ : nullptr; }
    /** The struct of the ABI; NULL for an empty view. */
    vlm_tensor* get() { return *this ? &tensor_ : nullptr; }

    /** Number of dimensions. */
    int32_t ndim() const { return tensor_.view.ndim; }
    /** Size of each dimension. */
    std::span<const int64_t> shape() const { return {shape_.data(), static_cast<size_t>(tensor_.view.ndim)}; }
    /** Size of dimension `d`; negative values count from the end. Throws INTERNAL beyond the dimensions. */
    int64_t size(int32_t d) const { return shape_[index(d)]; }
    /** Elements from one index of dimension `d` to the next; negative `d` counts from the end. */
    int64_t stride(int32_t d) const { return strides_[index(d)]; }
    /** Product of the shape. */
    int64_t elements() const { return element_count(shape()); }
    /** VLM_DTYPE_*. */
    uint32_t dtype() const { return static_cast<uint32_t>(tensor_.view.dtype.code) << 16 | tensor_.view.dtype.bits; }
    /** Whether this process can read the memory. */
    bool on_cpu() const { return tensor_.view.device.device_type == VLM_DEVICE_CPU; }
    /** For messages. */
    const char* name() const { return tensor_.name != nullptr ? tensor_.name : "tensor"; }
    /** True when the elements lie without gaps in row-major order. */
    bool compact() const {
        int64_t expected = 1;
        for (int32_t d = ndim() - 1; d >= 0; --d) {
            if (shape_[index(d)] != 1 && strides_[index(d)] != expected) return false;
            expected *= shape_[index(d)];
        }
        return true;
    }

    /** `count` entries of dimension `d` from `begin` on. */
    Tensor slice(int32_t d, int64_t begin, int64_t count) const {
        if (begin < 0 || count < 0 || begin > size(d) - count)
            throw internal("slice " + std::to_string(begin) + " + " + std::to_string(count) + " of dimension " +
                           std::to_string(d) + " of " + to_string(shape()) + " is outside");
        Tensor view(*this);
        view.tensor_.view.byte_offset += static_cast<uint64_t>(begin * stride(d)) * dtype_size(dtype());
        view.shape_[index(d)] = count;
        return view;
    }
    /** Rows `begin … begin + count - 1`. */
    Tensor rows(int64_t begin, int64_t count) const { return slice(0, begin, count); }
    /** `begin … begin + count - 1` of the last dimension: a part of a fused projection. */
    Tensor columns(int64_t begin, int64_t count) const { return slice(-1, begin, count); }
    /** The same elements in another shape; throws INTERNAL unless compact. */
    Tensor reshape(std::span<const int64_t> shape) const {
        if (!compact() || element_count(shape) != elements() || shape.size() > VLM_MAX_DIMS)
            throw internal("cannot see a tensor of " + to_string(this->shape()) + " as " + to_string(shape));
        Tensor view(*this);
        view.tensor_.view.ndim = static_cast<int32_t>(shape.size());
        std::copy(shape.begin(), shape.end(), view.shape_.begin());
        view.set_compact();
        return view;
    }
    /** The same memory in another shape; one dimension may be -1. Throws for memory that is not compact. */
    Tensor reshape(std::initializer_list<int64_t> shape) const {
        return reshape(std::span<const int64_t>(shape.begin(), shape.size()));
    }
    /** `[…, heads * head_dim]` as `[…, heads, head_dim]`; works on strided views of fused projections. */
    Tensor split_last(int64_t heads) const {
        const int64_t width = size(-1);
        if (heads < 1 || width % heads != 0 || ndim() == VLM_MAX_DIMS)
            throw internal("cannot split " + to_string(shape()) + " into " + std::to_string(heads) + " heads");
        Tensor view(*this);
        const size_t last = index(-1);
        view.tensor_.view.ndim += 1;
        view.shape_[last] = heads;
        view.shape_[last + 1] = width / heads;
        view.strides_[last + 1] = strides_[last];
        view.strides_[last] = strides_[last] * (width / heads);
        return view;
    }

    /** Elements in CPU memory. Throws INTERNAL for another device or dtype and for a strided view. */
    template <typename T>
    std::span<T> span() const {
        if (!on_cpu() || dtype() != dtype_of<std::remove_const_t<T>>() || !compact())
            throw internal(std::string(name()) + " of shape " + to_string(shape()) +
                           ": not compact CPU memory of the element type asked for");
        return {reinterpret_cast<T*>(static_cast<char*>(tensor_.view.data) + tensor_.view.byte_offset),
                static_cast<size_t>(elements())};
    }
    /** Throws INVALID_ARGUMENT unless the shape is `expected`; -1 there means any size. */
    void expect_shape(std::initializer_list<int64_t> expected, const char* what) const {
        bool same = expected.size() == static_cast<size_t>(ndim());
        for (size_t d = 0; same && d < expected.size(); ++d)
            same = expected.begin()[d] < 0 || expected.begin()[d] == shape_[d];
        if (!same)
            throw invalid_argument(std::string(what) + ": has shape " + to_string(shape()) + ", expected " +
                                   to_string({expected.begin(), expected.size()}));
    }

  protected:
    /** Dimension `d`, negative from the end. */
    size_t index(int32_t d) const {
        const int32_t at = d < 0 ? d + ndim() : d;
        if (at < 0 || at >= ndim())
            throw internal("dimension " + std::to_string(d) + " of a tensor of shape " + to_string(shape()));
        return static_cast<size_t>(at);
    }
    /** Strides of compact memory. */
    void set_compact() {
        int64_t stride = 1;
        for (size_t d = static_cast<size_t>(ndim()); d-- > 0;) {
            strides_[d] = stride;
            stride *= shape_[d];
        }
    }
    /** Points the struct at this object's shape and strides. */
    void bind() {
        tensor_.view.shape = shape_.data();
        tensor_.view.strides = strides_.data();
        tensor_.owner = nullptr;
    }

    vlm_tensor tensor_;                            ///< Points into the two arrays below.
    std::array<int64_t, VLM_MAX_DIMS> shape_{};    ///< Sizes.
    std::array<int64_t, VLM_MAX_DIMS> strides_{};  ///< In elements.
};

/** A CPU tensor that owns its elements: positions, tables and other small things made by the plugin. */
template <typename T>
class HostTensor {
  public:
    /** Zeros of `shape`. */
    explicit HostTensor(const Shape& shape) : data_(static_cast<size_t>(element_count(shape))), shape_(shape) {}
    /** Takes the elements over; their number must be that of `shape`. */
    HostTensor(std::vector<T> data, const Shape& shape) : data_(std::move(data)), shape_(shape) {
        if (element_count(shape) != static_cast<int64_t>(data_.size()))
            throw internal(std::to_string(data_.size()) + " elements cannot have shape " + to_string(shape));
    }
    /** Valid while this object lives and does not move. */
    Tensor view() { return Tensor(data_.data(), dtype_of<T>(), shape_); }
    /** The elements, row by row. */
    std::vector<T>& data() { return data_; }
    /** The elements, row by row. */
    const std::vector<T>& data() const { return data_; }

  private:
    std::vector<T> data_;
    Shape shape_;
};

}  // namespace vlm::sdk
