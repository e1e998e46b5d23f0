/** @file view.hpp
 *  Checked views of tensors on the GPU. The checks are those of the CPU device (host/compute/cpu/view.hpp); only the
 * place of the memory differs, and that contents cannot be looked at.
 */
#pragma once
#include "host/compute/cpu/view.hpp"
#include "host/compute/cuda/layout.hpp"

namespace vlm::cuda {

using cpu::View;

/** Checks a tensor that must be on `device`; `dtype` 0 and `ndim` -1 allow any.
 *  @throws Error INVALID_ARGUMENT naming `what`. */
View view_on(const vlm_device& device, const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim = -1);
/** The same for a compact tensor. */
View compact_on(const vlm_device& device, const vlm_tensor* tensor, const char* what, uint32_t dtype,
                int32_t ndim = -1);
/** A compact tensor of exactly `elements` elements, or an empty view for NULL. */
View vector_on(const vlm_device& device, const vlm_tensor* tensor, const char* what, uint32_t dtype, int64_t elements);
/** Whether the tensor says that it is in host memory. */
bool on_cpu(const vlm_tensor* tensor);

/** All dimensions. */
Layout layout_of(const View& view);
/** @throws Error INVALID_ARGUMENT when the last dimension is strided. */
RowLayout rows_of(const View& view);
/** Rows at distance `stride`, in elements, from `data` on. */
RowLayout rows_at(void* data, int64_t rows, int64_t columns, int64_t stride);

}  // namespace vlm::cuda
