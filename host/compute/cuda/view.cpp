/** @file view.cpp
 *  See view.hpp.
 */
#include "host/compute/cuda/view.hpp"

#include "host/base/error.hpp"

namespace vlm::cuda {

namespace {

/** `tensor` as if it were on the CPU, after its device has been checked. */
vlm_tensor relocated(const vlm_device& device, const vlm_tensor* tensor, const char* what) {
    if (tensor == nullptr) throw invalid_argument(std::string(what) + " is NULL");
    vlm_tensor copy = *tensor;
    const vlm_device found = copy.view.device;
    if (found.device_type != device.device_type || found.device_id != device.device_id)
        throw invalid_argument(std::string(what) + " is on device type " + std::to_string(found.device_type) +
                               " number " + std::to_string(found.device_id) + ", expected the GPU (type " +
                               std::to_string(device.device_type) + ", number " + std::to_string(device.device_id) +
                               "); copy it there first");
    copy.view.device = {VLM_DEVICE_CPU, 0};
    return copy;
}

void append(Layout& layout, int64_t size, int64_t stride) {
    if (size == 1) return;
    if (layout.dims > 0 && layout.stride[layout.dims - 1] == size * stride) {
        layout.shape[layout.dims - 1] *= size;
        layout.stride[layout.dims - 1] = stride;
        return;
    }
    layout.shape[layout.dims] = size;
    layout.stride[layout.dims] = stride;
    ++layout.dims;
}

Layout join(const View& view, int32_t dims) {
    Layout layout;
    for (int32_t d = 0; d < dims; ++d) append(layout, view.dim(d), view.strides[static_cast<size_t>(d)]);
    if (layout.dims == 0) {
        layout.dims = 1;
        layout.shape[0] = layout.stride[0] = 1;
    }
    return layout;
}

}  // namespace

View view_on(const vlm_device& device, const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim) {
    const vlm_tensor copy = relocated(device, tensor, what);
    return cpu::view_of(&copy, what, dtype, ndim);
}

View compact_on(const vlm_device& device, const vlm_tensor* tensor, const char* what, uint32_t dtype, int32_t ndim) {
    const vlm_tensor copy = relocated(device, tensor, what);
    return cpu::compact_view(&copy, what, dtype, ndim);
}

View vector_on(const vlm_device& device, const vlm_tensor* tensor, const char* what, uint32_t dtype, int64_t elements) {
    if (tensor == nullptr) return {};
    const vlm_tensor copy = relocated(device, tensor, what);
    return cpu::optional_vector(&copy, what, dtype, elements);
}

bool on_cpu(const vlm_tensor* tensor) {
    return tensor != nullptr && tensor->view.device.device_type == VLM_DEVICE_CPU;
}

Layout layout_of(const View& view) {
    return join(view, view.ndim);
}

RowLayout rows_of(const View& view) {
    const int32_t leading = view.ndim > 0 ? view.ndim - 1 : 0;
    if (view.ndim > 0 && view.last() > 1 && view.strides[static_cast<size_t>(leading)] != 1)
        throw invalid_argument(view.text() + " is strided in its last dimension, expected stride 1; copy it first");
    RowLayout rows;
    rows.data = reinterpret_cast<char*>(view.bytes);
    rows.columns = view.last();
    rows.count = 1;
    for (int32_t d = 0; d < leading; ++d) rows.count *= view.dim(d);
    rows.rows = join(view, leading);
    return rows;
}

RowLayout rows_at(void* data, int64_t rows, int64_t columns, int64_t stride) {
    RowLayout layout;
    layout.data = static_cast<char*>(data);
    layout.count = rows;
    layout.columns = columns;
    layout.rows.dims = 1;
    layout.rows.shape[0] = rows;
    layout.rows.stride[0] = stride;
    return layout;
}

}  // namespace vlm::cuda
