/** @file layout.hpp
 *  Where the elements of a tensor lie, as plain data that goes to a kernel by value.
 */
#pragma once
#include <vlm/tensor.h>

#include "host/compute/cuda/element.hpp"

namespace vlm::cuda {

/** `i / n` and `i % n`. */
struct Split {
    int64_t quotient, rest;
};
/** For numbers that are not negative. Division of 64 bits is a function call on a GPU, of 32 bits some instructions. */
VLM_HD Split split(int64_t i, int64_t n) {
    const int64_t quotient = (i >> 31) == 0 && (n >> 31) == 0
                                 ? static_cast<int64_t>(static_cast<uint32_t>(i) / static_cast<uint32_t>(n))
                                 : i / n;
    return {quotient, i - quotient * n};
}

/** Sizes and strides (in elements) without dimensions of one element, neighbours joined where they lie so. */
struct Layout {
    int32_t dims = 0;
    int64_t shape[VLM_MAX_DIMS] = {};
    int64_t stride[VLM_MAX_DIMS] = {};

    /** Offset of element `i` in row-major order. */
    VLM_HD int64_t offset(int64_t i) const {
        if (dims == 1) return i * stride[0];
        int64_t result = 0;
        for (int32_t d = dims - 1; d >= 0; --d) {
            const Split parts = split(i, shape[d]);
            result += parts.rest * stride[d];
            i = parts.quotient;
        }
        return result;
    }
};

/** A tensor as rows of its last dimension, which has stride 1. */
struct RowLayout {
    char* data = nullptr;
    int64_t count = 0, columns = 0;
    Layout rows;  ///< Of the leading dimensions.

    template <class T>
    VLM_HD T* row(int64_t i) const {
        return reinterpret_cast<T*>(data) + rows.offset(i);
    }
};

/** Whether all rows begin on 16 bytes. @param element  Bytes of one. */
inline bool aligned_rows(const RowLayout& x, int64_t element) {
    bool aligned = reinterpret_cast<uintptr_t>(x.data) % 16 == 0;
    for (int32_t d = 0; x.count > 1 && d < x.rows.dims; ++d) aligned = aligned && x.rows.stride[d] * element % 16 == 0;
    return aligned;
}

}  // namespace vlm::cuda
