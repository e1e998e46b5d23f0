/** @file tensor.hpp
 *  Tensors that the host owns: inputs and outputs of plugin calls.
 *
 *  The memory comes from whoever owns the device (`Allocator`), aligned to 64 bytes, and is freed when the object goes.
 * Sizes are checked for overflow before memory is asked for, because shapes come from plugins.
 */
#pragma once
#include <vlm/tensor.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace vlm {

/** Bytes of one element; throws INVALID_ARGUMENT for a dtype that this ABI does not have. */
int64_t dtype_bytes(uint32_t dtype);

/** `VLM_DTYPE_*` of a view. */
uint32_t dtype_of(const vlm_tensor_view& view);

/** "[2, 577, 1024]" for messages. */
std::string shape_text(std::span<const int64_t> shape);

/** Number of elements; throws RESOURCE_EXHAUSTED when a size is negative or the product overflows. */
int64_t element_count(std::span<const int64_t> shape);

/** Memory of one device. */
struct Allocator {
    vlm_device device{VLM_DEVICE_CPU, 0};
    std::function<std::shared_ptr<void>(int64_t bytes)> allocate;

    /** Plain host memory. */
    static const Allocator& cpu();
};

/** A compact tensor. Movable, shares its memory when copied. */
class Tensor {
  public:
    Tensor() = default;
    /** Allocates; the memory is zero on the CPU. */
    Tensor(uint32_t dtype, std::vector<int64_t> shape, const Allocator& allocator = Allocator::cpu());

    explicit operator bool() const { return memory_ != nullptr || !shape_.empty(); }
    const std::vector<int64_t>& shape() const { return shape_; }
    int64_t dim(size_t i) const { return shape_.at(i); }
    int64_t elements() const { return element_count(shape_); }
    uint32_t dtype() const { return dtype_; }
    bool on_cpu() const { return device_.device_type == VLM_DEVICE_CPU; }
    const vlm_device& device() const { return device_; }

    /** The first `rows` entries of dimension 0, sharing the memory. */
    Tensor first_rows(int64_t rows) const;

    /** Elements on the CPU; the caller knows the dtype. */
    template <typename T>
    T* data() const {
        return static_cast<T*>(memory_.get());
    }
    template <typename T>
    std::span<T> span() const {
        return {data<T>(), static_cast<size_t>(elements())};
    }

    /** The ABI's view; valid while this object lives and is not moved. */
    vlm_tensor* abi();
    const vlm_tensor* abi() const { return const_cast<Tensor*>(this)->abi(); }

  private:
    std::shared_ptr<void> memory_;
    std::vector<int64_t> shape_;
    uint32_t dtype_ = VLM_DTYPE_F32;
    vlm_device device_{VLM_DEVICE_CPU, 0};
    vlm_tensor abi_{};
};

}  // namespace vlm
