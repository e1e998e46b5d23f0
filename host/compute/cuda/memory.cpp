/** @file memory.cpp
 *  create, destroy, keep, release, copy, fill.
 *
 *  The device remembers every tensor that it has given out, as the CPU device does. Casting happens on the GPU: the
 * host side of a copy only moves bytes, so that weights go from the mapped file to the GPU as they are, and only
 * strided host memory is packed first.
 */
#include "host/compute/cuda/memory.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

/** Elements that are packed and uploaded at once when the host side is strided or needs a cast. */
constexpr int64_t kChunkBytes = int64_t{32} << 20;

const void* context_key(const vlm_run_context* run) {
    if (run == nullptr) return nullptr;
    return run->host != nullptr ? run->host : run;
}

int64_t shape_bytes(uint32_t dtype, int32_t ndim, const int64_t* shape) {
    if (ndim < 0 || ndim > VLM_MAX_DIMS || (ndim > 0 && shape == nullptr))
        throw invalid_argument(std::to_string(ndim) + " dimensions, expected 0 to " + std::to_string(VLM_MAX_DIMS));
    int64_t bytes = cpu::element_bytes(dtype);
    bool empty = false;
    for (int32_t d = 0; d < ndim; ++d) {
        if (shape[d] < 0)
            throw invalid_argument("size " + std::to_string(shape[d]) + " of dimension " + std::to_string(d) +
                                   " is negative");
        if (shape[d] == 0)
            empty = true;
        else
            bytes = checked_product(bytes, shape[d]);
    }
    return empty ? 0 : bytes;
}

std::unique_ptr<OwnedTensor> make_tensor(State& state, const Queue& queue, uint32_t dtype, int32_t ndim,
                                         const int64_t* shape, Purpose purpose) {
    const int64_t bytes = shape_bytes(dtype, ndim, shape);
    auto owned = std::make_unique<OwnedTensor>();
    owned->bytes = bytes;
    owned->block = state.allocate(queue, bytes, purpose);
    std::copy_n(shape, ndim, owned->shape.begin());
    owned->tensor.struct_size = sizeof(vlm_tensor);
    owned->tensor.abi_version = VLM_ABI_VERSION;
    owned->tensor.owner = owned.get();
    vlm_tensor_view& view = owned->tensor.view;
    view.data = owned->block;
    view.device = state.device;
    view.ndim = ndim;
    view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFF), 1};
    view.shape = owned->shape.data();
    return owned;
}

bool storable(uint32_t dtype) {
    return dtype != VLM_DTYPE_F8_E4M3 && dtype != VLM_DTYPE_F8_E5M2;
}

/** Moves elements [begin, end) of a strided host view from or to compact memory. */
template <bool kPack>
void move_host(const View& view, int64_t begin, int64_t end, std::byte* compact) {
    const int64_t size = cpu::element_bytes(view.dtype);
    if (view.compact()) {
        std::byte* place = view.bytes + begin * size;
        std::memcpy(kPack ? compact : place, kPack ? place : compact, static_cast<size_t>((end - begin) * size));
        return;
    }
    const Layout layout = layout_of(view);
    for (int64_t i = begin; i < end; ++i, compact += size) {
        std::byte* place = view.bytes + layout.offset(i) * size;
        std::memcpy(kPack ? compact : place, kPack ? place : compact, static_cast<size_t>(size));
    }
}

/** Copies and casts on the GPU. */
void convert_on_device(const Queue& queue, const View& from, const View& to) {
    const bool bytes_do = from.dtype == to.dtype && from.compact() && to.compact();
    if (bytes_do) {
        queue.runtime.copy(from.bytes, to.bytes, from.elements * cpu::element_bytes(from.dtype), queue.stream);
    } else {
        launch_copy(queue, from.elements, from.dtype, from.bytes, layout_of(from), to.dtype, to.bytes, layout_of(to));
    }
}

/** A compact view of `elements` at `memory`. */
View flat_view(void* memory, uint32_t dtype, int64_t elements) {
    View view;
    view.what = "buffer";
    view.dtype = dtype;
    view.ndim = 1;
    view.shape[0] = elements;
    view.strides[0] = 1;
    view.elements = elements;
    view.bytes = static_cast<std::byte*>(memory);
    return view;
}

void download_view(State& state, const Queue& queue, const View& source, const View& target) {
    const int64_t size = cpu::element_bytes(target.dtype), bytes = target.elements * size;
    const void* from = source.bytes;
    std::unique_ptr<Temporary> buffer;
    if (source.dtype != target.dtype || !source.compact()) {
        buffer = std::make_unique<Temporary>(state, queue, bytes);
        convert_on_device(queue, source, flat_view(buffer->as<void>(), target.dtype, target.elements));
        from = buffer->as<void>();
    }
    if (target.compact()) {
        state.download(queue, from, target.bytes, bytes);
        return;
    }
    std::vector<std::byte> packed(static_cast<size_t>(bytes));
    state.download(queue, from, packed.data(), bytes);
    move_host<false>(target, 0, target.elements, packed.data());
}

}  // namespace

void upload_view(State& state, const Queue& queue, const View& source, const View& target) {
    const int64_t size = cpu::element_bytes(source.dtype);
    if (source.dtype == target.dtype && source.compact() && target.compact()) {
        state.upload(queue, source.bytes, target.bytes, source.elements * size);
        return;
    }
    // In pieces that are whole outermost entries where those are small enough, so that the target's layout can be cut.
    const int64_t inner = source.ndim > 0 && source.dim(0) > 0 ? source.elements / source.dim(0) : source.elements;
    const bool cut = source.ndim > 0 && target.ndim == source.ndim && target.dim(0) == source.dim(0);
    const int64_t step = cut ? std::max<int64_t>(1, kChunkBytes / std::max<int64_t>(1, inner * size)) : 1;
    const int64_t pieces = cut ? divide_up(source.dim(0), step) : 1;
    const int64_t most = cut ? std::min(step, source.dim(0)) * inner : source.elements;
    const Temporary buffer(state, queue, checked_product(most, size));
    std::vector<std::byte> packed(source.compact() ? 0 : static_cast<size_t>(most * size));
    for (int64_t piece = 0; piece < pieces; ++piece) {
        const int64_t first = cut ? piece * step : 0;
        const int64_t entries = cut ? std::min(step, source.dim(0) - first) : 0;
        const int64_t begin = first * inner, count = cut ? entries * inner : source.elements;
        const void* from = source.bytes + begin * size;
        if (!source.compact()) {
            move_host<true>(source, begin, begin + count, packed.data());
            from = packed.data();
        }
        state.upload(queue, from, buffer.as<void>(), count * size);
        View part = target;
        if (cut) {
            part.shape[0] = entries;
            part.elements = count;
            part.bytes += first * target.strides[0] * cpu::element_bytes(target.dtype);
        }
        convert_on_device(queue, flat_view(buffer.as<void>(), source.dtype, count), part);
    }
}

void copy_tensor(State& state, const Queue& queue, const vlm_tensor* src, vlm_tensor* dst) {
    const View from = on_cpu(src) ? cpu::view_of(src, "src", 0) : state.view(src, "src", 0);
    const View to = on_cpu(dst) ? cpu::view_of(dst, "dst", 0) : state.view(dst, "dst", 0);
    if (from.elements != to.elements)
        throw invalid_argument(from.text() + " and " + to.text() + " have different numbers of elements");
    if (!storable(to.dtype)) throw invalid_argument(to.text() + " cannot be written, 8-bit floats are only read");
    if (from.elements == 0) return;
    if (on_cpu(src) && on_cpu(dst)) {
        // Nothing of the GPU is concerned, but a cast would be: through it the result is the same as elsewhere.
        const Temporary buffer(state, queue, checked_product(to.elements, cpu::element_bytes(to.dtype)));
        const View middle = flat_view(buffer.as<void>(), to.dtype, to.elements);
        upload_view(state, queue, from, middle);
        download_view(state, queue, middle, to);
    } else if (on_cpu(src)) {
        upload_view(state, queue, from, to);
    } else if (on_cpu(dst)) {
        download_view(state, queue, from, to);
    } else {
        convert_on_device(queue, from, to);
    }
}

View with_compact_rows(State& state, const Queue& queue, const View& view, std::unique_ptr<Temporary>& buffer) {
    int64_t size = 1;
    bool compact = true;
    for (int32_t d = view.ndim - 1; d >= 1; --d) {
        compact = compact && (view.dim(d) == 1 || view.strides[static_cast<size_t>(d)] == size);
        size *= view.dim(d);
    }
    if (compact || view.elements == 0) return view;
    buffer = std::make_unique<Temporary>(state, queue, checked_product(view.elements, cpu::element_bytes(view.dtype)));
    View copy = view;
    copy.bytes = buffer->as<std::byte>();
    int64_t stride = 1;
    for (int32_t d = view.ndim - 1; d >= 0; --d) {
        copy.strides[static_cast<size_t>(d)] = stride;
        stride *= std::max<int64_t>(1, view.dim(d));
    }
    convert_on_device(queue, view, copy);
    return copy;
}

vlm_status create(const vlm_compute* self, const vlm_run_context* run, uint32_t dtype, int32_t ndim,
                  const int64_t* shape, vlm_tensor** tensor) {
    return guarded_quiet(self, run, "create", [&](State& state, const Queue& queue) {
        if (tensor == nullptr) throw invalid_argument("the place for the tensor is NULL");
        *tensor = nullptr;
        auto owned = make_tensor(state, queue, dtype, ndim, shape, Purpose::scratch);
        try {
            const std::scoped_lock lock(state.tensors_mutex);
            state.run_tensors[context_key(run)].insert(owned.get());
        } catch (...) {
            state.release(queue, owned->block, owned->bytes, Purpose::scratch);
            throw;
        }
        *tensor = &owned.release()->tensor;
    });
}

void destroy(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* tensor) {
    if (tensor == nullptr || self == nullptr) return;
    guarded_quiet(self, run, "destroy", [&](State& state, const Queue& queue) {
        // The owner is only a number until it is found among the device's own.
        auto* owned = static_cast<OwnedTensor*>(tensor->owner);
        {
            const std::scoped_lock lock(state.tensors_mutex);
            const auto context = state.run_tensors.find(context_key(run));
            if (context == state.run_tensors.end() || context->second.erase(owned) == 0)
                throw invalid_argument("the tensor was not created by this run, or was destroyed before");
        }
        const std::unique_ptr<OwnedTensor> gone(owned);
        state.release(queue, owned->block, owned->bytes, Purpose::scratch);
    });
}

void free_run_tensors(State& state, const vlm_run_context* run) noexcept {
    std::unordered_set<OwnedTensor*> left;
    {
        const std::scoped_lock lock(state.tensors_mutex);
        const auto context = state.run_tensors.find(context_key(run));
        if (context == state.run_tensors.end()) return;
        left = std::move(context->second);
        state.run_tensors.erase(context);
    }
    const Queue queue = state.quiet_queue(run);
    for (OwnedTensor* owned : left) {
        state.release(queue, owned->block, owned->bytes, Purpose::scratch);
        delete owned;
    }
}

void free_all_tensors(State& state) noexcept {
    const Queue queue = state.quiet_queue(nullptr);
    for (auto& [context, tensors] : state.run_tensors)
        for (OwnedTensor* owned : tensors) {
            state.release(queue, owned->block, owned->bytes, Purpose::scratch);
            delete owned;
        }
    for (OwnedTensor* owned : state.kept_tensors) {
        state.release(queue, owned->block, owned->bytes, Purpose::kept);
        delete owned;
    }
}

vlm_status keep(const vlm_compute* self, const vlm_tensor* source, uint32_t dtype, vlm_tensor** tensor) {
    return guarded(self, nullptr, "keep", [&](State& state, const Queue& queue) {
        if (tensor == nullptr) throw invalid_argument("the place for the tensor is NULL");
        *tensor = nullptr;
        const View from =
            cpu::view_of(source, source != nullptr && source->name != nullptr ? source->name : "source", 0);
        if (!storable(dtype) && dtype != from.dtype)
            throw invalid_argument("a tensor cannot be kept as " + cpu::dtype_text(dtype) +
                                   ", 8-bit floats are only read");
        auto owned = make_tensor(state, queue, dtype, from.ndim, from.shape.data(), Purpose::kept);
        try {
            if (from.elements > 0) upload_view(state, queue, from, state.view(&owned->tensor, "kept tensor", dtype));
            const std::scoped_lock lock(state.tensors_mutex);
            state.kept_tensors.insert(owned.get());
        } catch (...) {
            state.release(queue, owned->block, owned->bytes, Purpose::kept);
            throw;
        }
        state.tell_loaded(from);
        *tensor = &owned.release()->tensor;
    });
}

void release(const vlm_compute* self, vlm_tensor* tensor) {
    if (tensor == nullptr || self == nullptr) return;
    guarded_quiet(self, nullptr, "release", [&](State& state, const Queue& queue) {
        auto* owned = static_cast<OwnedTensor*>(tensor->owner);
        {
            const std::scoped_lock lock(state.tensors_mutex);
            if (state.kept_tensors.erase(owned) == 0) throw invalid_argument("the tensor is not one that was kept");
        }
        const std::unique_ptr<OwnedTensor> gone(owned);
        state.release(queue, owned->block, owned->bytes, Purpose::kept);
    });
}

vlm_status copy(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, vlm_tensor* dst) {
    return guarded(self, run, "copy", [&](State& state, const Queue& queue) { copy_tensor(state, queue, src, dst); });
}

vlm_status fill(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* dst, double value) {
    return guarded(self, run, "fill", [&](State& state, const Queue& queue) {
        const View to = state.view(dst, "dst", 0);
        if (!storable(to.dtype)) throw invalid_argument(to.text() + " cannot be written, 8-bit floats are only read");
        if (to.elements > 0) launch_fill(queue, to.elements, to.dtype, to.bytes, layout_of(to), value);
    });
}

}  // namespace vlm::cuda
