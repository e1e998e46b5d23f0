/** @file view.hpp
 *  Checked views of tensors. A plugin may pass anything, so every operation looks at its arguments through these and
 * nothing else: after `View` was made, sizes are positive, their product fits, the dtype is the one asked for and the
 * memory is on the CPU.
 */
#pragma once
#include <vlm/tensor.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>

namespace vlm::cpu {

/** A checked tensor. */
struct View {
    const char* what = "";  ///< Name of the argument, for messages.
    uint32_t dtype = 0;
    int32_t ndim = 0;
    std::array<int64_t, VLM_MAX_DIMS> shape{}, strides{};
    std::byte* bytes = nullptr;  ///< First element.
    int64_t elements = 0;

    template <class T>
    T* data() const {
        return reinterpret_cast<T*>(bytes);
    }
    /** Whether elements lie in row-major order without gaps. */
    bool compact() const;
    /** "x f32 [2, 3]". */
    std::string text() const;
    int64_t last() const { return ndim > 0 ? shape[static_cast<size_t>(ndim - 1)] : 1; }
    int64_t dim(int i) const { return shape[static_cast<size_t>(i)]; }
};

/** "f32", "bf16", …; the number in hexadecimal for an unknown dtype. */
std::string dtype_text(uint32_t dtype);

/** Bytes of one element. @throws Error INVALID_ARGUMENT for an unknown dtype. */
int64_t element_bytes(uint32_t dtype);

/** Checks `tensor`; `dtype` 0 allows any, `ndim` -1 allows any.
 *  @throws Error INVALID_ARGUMENT naming `what`. */
View view_of(const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim = -1);

/** view_of that also wants compact memory. */
View compact_view(const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim = -1);

/** A compact tensor of exactly `elements` elements, or an empty view when `tensor` is NULL. */
View optional_vector(const vlm_tensor* tensor, const char* what, uint32_t dtype, int64_t elements);

/** @throws Error INVALID_ARGUMENT with both shapes unless `v` has this shape. */
void expect_shape(const View& v, std::initializer_list<int64_t> shape);
/** @throws Error INVALID_ARGUMENT with both shapes unless `a` and `b` have the same shape. */
void expect_same_shape(const View& a, const View& b);

/** A tensor seen as rows of its last dimension, which must have stride 1; the rows may lie anywhere. */
class Rows {
  public:
    /** @throws Error INVALID_ARGUMENT when the last dimension is strided. */
    explicit Rows(const View& v);

    int64_t count() const { return count_; }
    int64_t columns() const { return columns_; }
    /** Whether all rows are the same distance apart, and that distance in elements. */
    bool uniform() const { return uniform_; }
    int64_t stride() const { return stride_; }
    /** First element of row `i`, in row-major order of the leading dimensions. */
    float* row(int64_t i) const { return data_ + (uniform_ ? i * stride_ : offset(i)); }

  private:
    int64_t offset(int64_t i) const;

    float* data_;
    int64_t count_ = 1, columns_ = 1, stride_ = 0;
    bool uniform_ = true;
    int32_t leading_ = 0;
    std::array<int64_t, VLM_MAX_DIMS> shape_{}, strides_{};
};

}  // namespace vlm::cpu
