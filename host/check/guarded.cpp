/** @file guarded.cpp
 *  See guarded.hpp. From low to high: forbidden page, canaries, the tensor, canaries, forbidden page.
 */
#include "host/check/guarded.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "host/base/error.hpp"
#include "host/base/tensor.hpp"

namespace vlm {
namespace {

constexpr unsigned char kCanary = 0x5C;
constexpr uint64_t kLargest = uint64_t{1} << 32;

}  // namespace

GuardedTensor::GuardedTensor(uint32_t dtype, std::vector<int64_t> shape, unsigned char fill)
    : shape_(std::move(shape)), kept_shape_(shape_) {
    bytes_ = static_cast<uint64_t>(element_count(shape_) * dtype_bytes(dtype));
    if (bytes_ > kLargest) throw resource_exhausted("a tensor of " + shape_text(shape_) + " is too large to check");
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const uint64_t inside = (bytes_ + page - 1) / page * page + 2 * page;
    mapped_ = inside + 2 * page;
    void* memory = mmap(nullptr, mapped_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) throw resource_exhausted("no memory for a tensor of " + shape_text(shape_));
    mapping_ = static_cast<char*>(memory);
    mprotect(mapping_ + page, inside, PROT_READ | PROT_WRITE);
    std::memset(mapping_ + page, kCanary, inside);
    data_ = mapping_ + 2 * page;
    std::memset(data_, fill, bytes_);
    tensor_.struct_size = sizeof(tensor_);
    tensor_.abi_version = VLM_ABI_VERSION;
    tensor_.view.data = bytes_ > 0 ? data_ : nullptr;
    tensor_.view.device = {VLM_DEVICE_CPU, 0};
    tensor_.view.ndim = static_cast<int32_t>(shape_.size());
    tensor_.view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFFu), 1};
    tensor_.view.shape = shape_.data();
    kept_ = tensor_;
}

GuardedTensor::~GuardedTensor() {
    munmap(mapping_, mapped_);
}

bool GuardedTensor::intact() const {
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const auto stands = [](char c) { return static_cast<unsigned char>(c) == kCanary; };
    const char* const end = mapping_ + mapped_ - page;
    return std::all_of<const char*>(mapping_ + page, data_, stands) &&
           std::all_of<const char*>(data_ + bytes_, end, stands) &&
           std::memcmp(&tensor_, &kept_, sizeof(tensor_)) == 0 && shape_ == kept_shape_;
}

}  // namespace vlm
