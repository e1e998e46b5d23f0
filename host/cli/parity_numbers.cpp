/** @file parity_numbers.cpp
 *  See parity_numbers.hpp.
 */
#include "host/cli/parity_numbers.hpp"

#include <algorithm>
#include <cmath>

#include "host/base/error.hpp"
#include "host/base/tensor.hpp"

namespace vlm::cli {
namespace {

bool is_integer_dtype(uint32_t dtype) {
    return dtype >> 16 <= VLM_TYPE_UINT || dtype >> 16 == VLM_TYPE_BOOL;
}

}  // namespace

void append(Numbers& numbers, const vlm_tensor& tensor) {
    const auto& view = tensor.view;
    const uint32_t dtype = dtype_of(view);
    numbers.integer = is_integer_dtype(dtype);
    numbers.row_width = view.ndim > 0 ? static_cast<size_t>(view.shape[view.ndim - 1]) : 0;
    std::vector<int64_t> index(static_cast<size_t>(view.ndim), 0);
    const int64_t count = element_count({view.shape, static_cast<size_t>(view.ndim)});
    const auto* base = static_cast<const char*>(view.data) + view.byte_offset;
    for (int64_t n = 0; n < count; ++n) {
        int64_t offset = 0;
        int64_t compact = 1;
        for (int32_t d = view.ndim - 1; d >= 0; --d) {
            const auto i = static_cast<size_t>(d);
            offset += index[i] * (view.strides != nullptr ? view.strides[d] : compact);
            compact *= view.shape[d];
        }
        const char* element = base + offset * dtype_bytes(dtype);
        switch (dtype) {
            case VLM_DTYPE_F32:
                numbers.values.push_back(*reinterpret_cast<const float*>(element));
                break;
            case VLM_DTYPE_I32:
                numbers.values.push_back(*reinterpret_cast<const int32_t*>(element));
                break;
            case VLM_DTYPE_I64:
                numbers.values.push_back(static_cast<double>(*reinterpret_cast<const int64_t*>(element)));
                break;
            case VLM_DTYPE_U8:
            case VLM_DTYPE_BOOL:
                numbers.values.push_back(*reinterpret_cast<const uint8_t*>(element));
                break;
            default:
                throw unimplemented("parity cannot compare tensors of dtype code " + std::to_string(dtype));
        }
        for (int32_t d = view.ndim - 1; d >= 0; --d) {
            if (++index[static_cast<size_t>(d)] < view.shape[d]) break;
            index[static_cast<size_t>(d)] = 0;
        }
    }
}

Numbers read_expected(const TensorView& tensor) {
    Numbers numbers;
    vlm_tensor abi{};
    auto shape = std::vector<int64_t>(tensor.shape.begin(), tensor.shape.end());
    const uint32_t dtype = tensor.dtype;
    abi.view.data = const_cast<void*>(static_cast<const void*>(tensor.data));
    abi.view.ndim = static_cast<int32_t>(shape.size());
    abi.view.shape = shape.data();
    abi.view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFFFFu), 1};
    append(numbers, abi);
    return numbers;
}

/** Whether the rows are the same but for their order: a reference that was tapped inside a window permutation. */
bool same_rows(const Numbers& expected, const Numbers& found, double limit) {
    const size_t width = expected.row_width;
    if (width < 2 || expected.values.size() % width != 0) return false;
    const size_t rows = expected.values.size() / width;
    std::vector<bool> used(rows, false);
    for (size_t r = 0; r < rows; ++r) {
        size_t match = 0;
        const auto differs = [&](size_t candidate) {
            for (size_t i = 0; i < width; ++i)
                if (!(std::abs(expected.values[r * width + i] - found.values[candidate * width + i]) <= limit))
                    return true;
            return false;
        };
        while (match < rows && (used[match] || differs(match))) ++match;
        if (match == rows) return false;
        used[match] = true;
    }
    return true;
}

Comparison compare(const std::string& name, const Numbers& expected, const Numbers& found, double tolerance) {
    Comparison c;
    c.name = name;
    c.integer = expected.integer;
    if (expected.values.size() != found.values.size()) {
        c.note = std::to_string(found.values.size()) + " elements, expected " + std::to_string(expected.values.size());
        c.max_abs = INFINITY;
        c.cosine = 0;
        return c;
    }
    double largest = 0;
    double dot = 0;
    double norm_a = 0;
    double norm_b = 0;
    for (size_t i = 0; i < expected.values.size(); ++i) {
        const double a = expected.values[i];
        const double b = found.values[i];
        const double difference = std::abs(a - b);
        // A NaN on one side must not pass a comparison that only asks for "not larger".
        c.max_abs = std::isnan(difference) ? INFINITY : std::max(c.max_abs, difference);
        largest = std::max(largest, std::abs(a));
        dot += a * b;
        norm_a += a * a;
        norm_b += b * b;
    }
    if (norm_a > 0 && norm_b > 0) c.cosine = dot / std::sqrt(norm_a) / std::sqrt(norm_b);
    constexpr double kRelative = 2e-5;
    const double limit = c.integer ? 0 : std::max(tolerance, kRelative * largest);
    c.passed = c.max_abs <= limit;
    if (!c.passed && !c.integer && same_rows(expected, found, limit)) {
        c.passed = true;
        c.note = "the same rows in another order";
    }
    return c;
}

}  // namespace vlm::cli
