/** @file guarded.hpp
 *  A tensor between canaries and forbidden pages: the memory that plugins under test read and write.
 *
 *  A plugin that writes a little too far changes the canaries and is told so by name; one that writes or reads far away
 * meets a page that the kernel forbids and crashes here instead of in a customer's process.
 */
#pragma once
#include <vlm/tensor.h>

#include <cstdint>
#include <string>
#include <vector>

namespace vlm {

/** CPU memory aligned to 64 bytes, compact. */
class GuardedTensor {
  public:
    /** All bytes are `fill`. */
    GuardedTensor(uint32_t dtype, std::vector<int64_t> shape, unsigned char fill);
    ~GuardedTensor();
    GuardedTensor(const GuardedTensor&) = delete;
    GuardedTensor& operator=(const GuardedTensor&) = delete;

    vlm_tensor* abi() { return &tensor_; }
    const std::vector<int64_t>& shape() const { return shape_; }
    template <typename T>
    T* data() const {
        return reinterpret_cast<T*>(data_);
    }
    uint64_t bytes() const { return bytes_; }
    /** A copy of the first `bytes` bytes. */
    std::vector<char> content(uint64_t bytes) const { return {data_, data_ + bytes}; }
    /** True while nobody has written around the tensor or changed its description. */
    bool intact() const;

  private:
    std::vector<int64_t> shape_;
    std::vector<int64_t> kept_shape_;
    char* mapping_ = nullptr;
    uint64_t mapped_ = 0;
    char* data_ = nullptr;
    uint64_t bytes_ = 0;
    vlm_tensor tensor_{};
    vlm_tensor kept_{};
};

}  // namespace vlm
