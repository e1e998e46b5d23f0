/** @file view.cpp
 *  See view.hpp.
 */
#include "host/compute/cpu/view.hpp"

#include <algorithm>
#include <cstdio>
#include <span>

#include "host/base/error.hpp"
#include "host/base/tensor.hpp"

namespace vlm::cpu {

namespace {

struct DtypeRow {
    uint32_t dtype;
    const char* name;
    int64_t bytes;
};
constexpr DtypeRow kDtypes[] = {
    {VLM_DTYPE_F32, "f32", 4},   {VLM_DTYPE_F64, "f64", 8},         {VLM_DTYPE_F16, "f16", 2},
    {VLM_DTYPE_BF16, "bf16", 2}, {VLM_DTYPE_I8, "i8", 1},           {VLM_DTYPE_I16, "i16", 2},
    {VLM_DTYPE_I32, "i32", 4},   {VLM_DTYPE_I64, "i64", 8},         {VLM_DTYPE_U8, "u8", 1},
    {VLM_DTYPE_BOOL, "bool", 1}, {VLM_DTYPE_F8_E4M3, "f8_e4m3", 1}, {VLM_DTYPE_F8_E5M2, "f8_e5m2", 1},
};

std::span<const int64_t> dims(const View& v) {
    return {v.shape.data(), static_cast<size_t>(v.ndim)};
}

}  // namespace

std::string dtype_text(uint32_t dtype) {
    for (const auto& row : kDtypes)
        if (row.dtype == dtype) return row.name;
    char text[32];
    std::snprintf(text, sizeof(text), "dtype 0x%x", dtype);
    return text;
}

int64_t element_bytes(uint32_t dtype) {
    for (const auto& row : kDtypes)
        if (row.dtype == dtype) return row.bytes;
    throw invalid_argument("unknown " + dtype_text(dtype));
}

std::string View::text() const {
    return std::string(what) + " " + dtype_text(dtype) + " " + shape_text(dims(*this));
}

bool View::compact() const {
    int64_t expected = 1;
    for (int32_t d = ndim - 1; d >= 0; --d) {
        const auto i = static_cast<size_t>(d);
        if (shape[i] != 1 && strides[i] != expected) return elements == 0;
        expected *= shape[i];
    }
    return true;
}

View view_of(const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim) {
    const std::string name = what;
    if (tensor == nullptr) throw invalid_argument(name + " is NULL");
    if (tensor->struct_size < sizeof(vlm_tensor) || tensor->struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument(name + " has struct_size " + std::to_string(tensor->struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_tensor)));
    const vlm_tensor_view& source = tensor->view;
    if (source.device.device_type != VLM_DEVICE_CPU)
        throw invalid_argument(name + " is on device type " + std::to_string(source.device.device_type) +
                               ", expected the CPU");
    if (source.ndim < 0 || source.ndim > VLM_MAX_DIMS || (source.ndim > 0 && source.shape == nullptr))
        throw invalid_argument(name + " has " + std::to_string(source.ndim) + " dimensions, expected 0 to " +
                               std::to_string(VLM_MAX_DIMS) + " with a shape");
    View v;
    v.what = what;
    v.dtype = dtype_of(source);
    v.ndim = source.ndim;
    v.elements = 1;
    const int64_t size = element_bytes(v.dtype);
    int64_t bytes = size;
    bool empty = false;
    for (int32_t d = source.ndim - 1; d >= 0; --d) {
        const auto i = static_cast<size_t>(d);
        v.shape[i] = source.shape[d];
        v.strides[i] = source.strides != nullptr ? source.strides[d] : bytes / size;
        if (v.shape[i] < 0) throw invalid_argument(name + " has a negative size: " + shape_text(dims(v)));
        if (v.shape[i] == 0) {
            empty = true;
        } else if (__builtin_mul_overflow(bytes, v.shape[i], &bytes)) {
            throw invalid_argument(name + " is larger than memory can be: " + shape_text(dims(v)));
        }
    }
    v.elements = empty ? 0 : bytes / size;
    if (source.data == nullptr && v.elements > 0) throw invalid_argument(v.text() + " has elements but no memory");
    if (dtype != 0 && v.dtype != dtype)
        throw invalid_argument(v.text() + " has the wrong dtype, expected " + dtype_text(dtype));
    if (ndim >= 0 && v.ndim != ndim)
        throw invalid_argument(v.text() + " has the wrong number of dimensions, expected " + std::to_string(ndim));
    if (source.data != nullptr) v.bytes = static_cast<std::byte*>(source.data) + source.byte_offset;
    return v;
}

View compact_view(const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim) {
    View v = view_of(tensor, what, dtype, ndim);
    if (!v.compact()) throw invalid_argument(v.text() + " is strided, expected compact memory; copy it first");
    return v;
}

View optional_vector(const vlm_tensor* tensor, const char* what, uint32_t dtype, int64_t elements) {
    if (tensor == nullptr) return {};
    View v = compact_view(tensor, what, dtype);
    if (v.elements != elements)
        throw invalid_argument(v.text() + ", expected " + std::to_string(elements) + " elements");
    return v;
}

void expect_shape(const View& v, std::initializer_list<int64_t> shape) {
    const std::span<const int64_t> expected(shape.begin(), shape.size());
    if (!std::equal(expected.begin(), expected.end(), dims(v).begin(), dims(v).end()))
        throw invalid_argument(v.text() + ", expected " + shape_text(expected));
}

void expect_same_shape(const View& a, const View& b) {
    if (!std::equal(dims(a).begin(), dims(a).end(), dims(b).begin(), dims(b).end()))
        throw invalid_argument(a.text() + " and " + b.text() + " differ, expected the same shape");
}

Rows::Rows(const View& v) : data_(v.data<float>()), columns_(v.last()) {
    leading_ = v.ndim > 0 ? v.ndim - 1 : 0;
    if (v.ndim > 0 && columns_ > 1 && v.strides[static_cast<size_t>(leading_)] != 1)
        throw invalid_argument(v.text() + " has stride " + std::to_string(v.strides[static_cast<size_t>(leading_)]) +
                               " in its last dimension, expected 1; copy it first");
    stride_ = columns_;
    bool first = true;
    int64_t next = 0;
    for (int32_t d = leading_ - 1; d >= 0; --d) {
        const auto i = static_cast<size_t>(d);
        shape_[i] = v.shape[i];
        strides_[i] = v.strides[i];
        count_ *= v.shape[i];
        if (v.shape[i] == 1) continue;
        if (first) {
            stride_ = v.strides[i];
            first = false;
        } else if (v.strides[i] != next) {
            uniform_ = false;
        }
        next = v.strides[i] * v.shape[i];
    }
}

int64_t Rows::offset(int64_t i) const {
    int64_t result = 0;
    for (int32_t d = leading_ - 1; d >= 0; --d) {
        const auto k = static_cast<size_t>(d);
        result += i % shape_[k] * strides_[k];
        i /= shape_[k];
    }
    return result;
}

}  // namespace vlm::cpu
