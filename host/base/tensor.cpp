/** @file tensor.cpp
 *  See tensor.hpp.
 */
#include "host/base/tensor.hpp"

#include <cstdlib>
#include <cstring>
#include <limits>

#include "host/base/error.hpp"

namespace vlm {

int64_t dtype_bytes(uint32_t dtype) {
    const uint32_t bits = dtype & 0xFFFFu;
    if (bits != 8 && bits != 16 && bits != 32 && bits != 64)
        throw invalid_argument("dtype code " + std::to_string(dtype) + " is none of this ABI");
    return bits / 8;
}

uint32_t dtype_of(const vlm_tensor_view& view) {
    return static_cast<uint32_t>(view.dtype.code) << 16 | view.dtype.bits;
}

std::string shape_text(std::span<const int64_t> shape) {
    std::string text = "[";
    for (const int64_t size : shape) text += (text.size() > 1 ? ", " : "") + std::to_string(size);
    return text + "]";
}

int64_t element_count(std::span<const int64_t> shape) {
    int64_t count = 1;
    for (const int64_t size : shape) {
        if (size < 0 || __builtin_mul_overflow(count, size, &count))
            throw resource_exhausted("a tensor of shape " + shape_text(shape) + " cannot exist");
    }
    return count;
}

const Allocator& Allocator::cpu() {
    static const Allocator instance{
        {VLM_DEVICE_CPU, 0}, [](int64_t bytes) {
            constexpr int64_t kAlignment = 64;
            const auto size = static_cast<size_t>((bytes + kAlignment - 1) & -kAlignment);
            void* memory = std::aligned_alloc(kAlignment, size > 0 ? size : kAlignment);
            if (memory == nullptr)
                throw resource_exhausted("no memory for a tensor of " + std::to_string(bytes) + " bytes");
            std::memset(memory, 0, size);
            return std::shared_ptr<void>(memory, std::free);
        }};
    return instance;
}

Tensor::Tensor(uint32_t dtype, std::vector<int64_t> shape, const Allocator& allocator)
    : shape_(std::move(shape)), dtype_(dtype), device_(allocator.device) {
    if (shape_.size() > VLM_MAX_DIMS)
        throw invalid_argument("a tensor has at most " + std::to_string(VLM_MAX_DIMS) + " dimensions, found " +
                               std::to_string(shape_.size()));
    const int64_t count = element_count(shape_);
    if (count > std::numeric_limits<int64_t>::max() / 16)
        throw resource_exhausted("a tensor of shape " + shape_text(shape_) + " is too large");
    memory_ = allocator.allocate(count * dtype_bytes(dtype));
}

Tensor Tensor::first_rows(int64_t rows) const {
    if (shape_.empty() || rows < 0 || rows > shape_[0])
        throw Error(VLM_STATUS_OUT_OF_RANGE,
                    std::to_string(rows) + " rows asked of a tensor of shape " + shape_text(shape_));
    Tensor part = *this;
    part.shape_[0] = rows;
    return part;
}

vlm_tensor* Tensor::abi() {
    abi_ = {sizeof(vlm_tensor), VLM_ABI_VERSION, {}, nullptr, nullptr};
    abi_.view.data = memory_.get();
    abi_.view.device = device_;
    abi_.view.ndim = static_cast<int32_t>(shape_.size());
    abi_.view.dtype = {static_cast<uint8_t>(dtype_ >> 16), static_cast<uint8_t>(dtype_ & 0xFFFFu), 1};
    abi_.view.shape = shape_.data();
    return &abi_;
}

}  // namespace vlm
