/** @file memory.cpp
 *  create, destroy, keep, release, copy, fill.
 *
 *  The device remembers every tensor that it has given out, so that what a failing plugin leaves behind is freed when
 * its call ends, and a pointer that is none of its own is refused instead of freed. Copies are one loop for every pair
 * of dtypes and strides; only equal dtypes without gaps, which is nearly every copy, are a memcpy.
 */
#include "host/compute/cpu/memory.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/table.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kCopyGrain = 1 << 15;

const void* context_key(const vlm_run_context* run) {
    if (run == nullptr) return nullptr;
    return run->host != nullptr ? run->host : run;
}

/** Checks a shape and returns its size in bytes. */
int64_t shape_bytes(uint32_t dtype, int32_t ndim, const int64_t* shape) {
    if (ndim < 0 || ndim > VLM_MAX_DIMS || (ndim > 0 && shape == nullptr))
        throw invalid_argument(std::to_string(ndim) + " dimensions, expected 0 to " + std::to_string(VLM_MAX_DIMS));
    int64_t bytes = element_bytes(dtype);
    bool empty = false;
    for (int32_t d = 0; d < ndim; ++d) {
        if (shape[d] < 0)
            throw invalid_argument("size " + std::to_string(shape[d]) + " of dimension " + std::to_string(d) +
                                   " is negative");
        if (shape[d] == 0) {
            empty = true;
        } else {
            bytes = checked_product(bytes, shape[d]);
        }
    }
    return empty ? 0 : bytes;
}

void describe(OwnedTensor& owned, uint32_t dtype, int32_t ndim, const int64_t* shape) {
    std::copy_n(shape, ndim, owned.shape.begin());
    owned.tensor.struct_size = sizeof(vlm_tensor);
    owned.tensor.abi_version = VLM_ABI_VERSION;
    owned.tensor.owner = &owned;
    vlm_tensor_view& view = owned.tensor.view;
    view.data = owned.block;
    view.device = {VLM_DEVICE_CPU, 0};
    view.ndim = ndim;
    view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFF), 1};
    view.shape = owned.shape.data();
    view.strides = nullptr;
}

void free_owned(State& state, OwnedTensor* owned) noexcept {
    state.scratch.free(owned->block, owned->granted);
    delete owned;
}

/** Walks all elements in row-major order, from `begin` to `end`, and keeps the offset in elements. */
class Walker {
  public:
    Walker(const View& v, int64_t begin) : v_(v), compact_(v.compact()), offset_(begin) {
        if (compact_) return;
        offset_ = 0;
        for (int32_t d = v.ndim - 1; d >= 0; --d) {
            const auto i = static_cast<size_t>(d);
            index_[i] = begin % v.shape[i];
            begin /= v.shape[i];
            offset_ += index_[i] * v.strides[i];
        }
    }
    int64_t offset() const { return offset_; }
    void next() {
        if (compact_) {
            ++offset_;
            return;
        }
        for (int32_t d = v_.ndim - 1; d >= 0; --d) {
            const auto i = static_cast<size_t>(d);
            offset_ += v_.strides[i];
            if (++index_[i] < v_.shape[i]) return;
            offset_ -= v_.shape[i] * v_.strides[i];
            index_[i] = 0;
        }
    }

  private:
    const View& v_;
    bool compact_;
    int64_t offset_;
    std::array<int64_t, VLM_MAX_DIMS> index_{};
};

template <class From, class To>
void convert_range(const View& src, const View& dst, int64_t begin, int64_t end) {
    Walker from(src, begin), to(dst, begin);
    const From* source = src.data<const From>();
    To* target = dst.data<To>();
    for (int64_t i = begin; i < end; ++i, from.next(), to.next()) {
        if constexpr (std::is_same_v<From, To>) {
            target[to.offset()] = source[from.offset()];
        } else if constexpr (std::is_integral_v<From> && std::is_integral_v<To>) {
            const auto value = static_cast<int64_t>(source[from.offset()]);
            constexpr int64_t low = std::numeric_limits<To>::min(), high = std::numeric_limits<To>::max();
            target[to.offset()] = static_cast<To>(std::clamp(value, low, high));
        } else {
            store_number(to_double(source[from.offset()]), target[to.offset()]);
        }
    }
}

}  // namespace

void convert_elements(State& state, const View& src, const View& dst) {
    if (src.elements != dst.elements)
        throw invalid_argument(src.text() + " and " + dst.text() + " have different numbers of elements");
    if (!storable(dst.dtype)) throw invalid_argument(dst.text() + " cannot be written, 8-bit floats are only read");
    if (src.elements == 0) return;
    const bool compact = src.compact() && dst.compact();
    const int64_t size = element_bytes(src.dtype);
    state.pool.parallel_for(0, src.elements, kCopyGrain, [&](int64_t begin, int64_t end) {
        if (compact && src.dtype == dst.dtype) {
            std::memcpy(dst.bytes + begin * size, src.bytes + begin * size, static_cast<size_t>((end - begin) * size));
        } else if (compact && src.dtype == VLM_DTYPE_F32 && dst.dtype == VLM_DTYPE_BF16) {
            kernels().to_bf16(src.data<float>() + begin, dst.data<uint16_t>() + begin, end - begin);
        } else {
            with_type(src.dtype, [&](auto from) {
                with_type(dst.dtype, [&](auto to) {
                    using To = decltype(to);
                    if constexpr (!std::is_same_v<To, F8E4M3> && !std::is_same_v<To, F8E5M2>)
                        convert_range<decltype(from), To>(src, dst, begin, end);
                });
            });
        }
    });
}

View with_uniform_rows(State& state, const View& view, std::unique_ptr<ScratchBuffer>& buffer) {
    if (view.ndim == 0 || view.last() <= 1 || view.strides[static_cast<size_t>(view.ndim - 1)] == 1) {
        if (Rows(view).uniform()) return view;
    }
    buffer = std::make_unique<ScratchBuffer>(state.scratch, checked_product(view.elements, sizeof(float)));
    View copied = view;
    copied.bytes = buffer->as<std::byte>();
    int64_t stride = 1;
    for (int32_t d = view.ndim - 1; d >= 0; --d) {
        copied.strides[static_cast<size_t>(d)] = stride;
        stride *= std::max<int64_t>(1, view.shape[static_cast<size_t>(d)]);
    }
    convert_elements(state, view, copied);
    return copied;
}

vlm_status create(const vlm_compute* self, const vlm_run_context* run, uint32_t dtype, int32_t ndim,
                  const int64_t* shape, vlm_tensor** tensor) {
    return guarded(self, run, Op::create, [&](State& state) {
        if (tensor == nullptr) throw invalid_argument("the place for the tensor is NULL");
        *tensor = nullptr;
        const int64_t bytes = shape_bytes(dtype, ndim, shape);
        auto owned = std::make_unique<OwnedTensor>();
        owned->context = context_key(run);
        owned->block = state.scratch.allocate(bytes, &owned->granted);
        describe(*owned, dtype, ndim, shape);
        try {
            const std::scoped_lock lock(state.tensors_mutex);
            state.run_tensors[owned->context].insert(owned.get());
        } catch (...) {
            state.scratch.free(owned->block, owned->granted);
            throw;
        }
        *tensor = &owned.release()->tensor;
    });
}

void destroy(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* tensor) {
    if (tensor == nullptr || self == nullptr) return;
    State& state = *static_cast<State*>(self->impl);
    // The owner is only a number until it is found among the device's own.
    auto* owned = static_cast<OwnedTensor*>(tensor->owner);
    {
        const std::scoped_lock lock(state.tensors_mutex);
        const auto context = state.run_tensors.find(context_key(run));
        if (context == state.run_tensors.end() || context->second.erase(owned) == 0) owned = nullptr;
    }
    if (owned != nullptr) {
        free_owned(state, owned);
    } else {
        report(run, VLM_STATUS_INVALID_ARGUMENT, "destroy",
               "the tensor was not created by this run, or was destroyed before");
    }
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
    for (OwnedTensor* owned : left) free_owned(state, owned);
}

void free_all_tensors(State& state) noexcept {
    for (auto& [context, tensors] : state.run_tensors)
        for (OwnedTensor* owned : tensors) free_owned(state, owned);
    for (OwnedTensor* owned : state.kept_tensors) {
        std::free(owned->block);
        delete owned;
    }
}

vlm_status keep(const vlm_compute* self, const vlm_tensor* source, uint32_t dtype, vlm_tensor** tensor) {
    return guarded_load(self, "keep", [&](State& state) {
        if (tensor == nullptr) throw invalid_argument("the place for the tensor is NULL");
        *tensor = nullptr;
        const View src = view_of(source, source != nullptr && source->name != nullptr ? source->name : "source", 0);
        const int64_t bytes = shape_bytes(dtype, src.ndim, src.shape.data());
        auto owned = std::make_unique<OwnedTensor>();
        owned->granted = (bytes + 127) / 64 * 64;
        std::unique_ptr<void, void (*)(void*)> block(std::aligned_alloc(64, static_cast<size_t>(owned->granted)),
                                                     std::free);
        if (block == nullptr)
            throw resource_exhausted("the system has no memory for " + std::to_string(bytes) + " bytes");
        owned->block = block.get();
        describe(*owned, dtype, src.ndim, src.shape.data());
        convert_elements(state, src, view_of(&owned->tensor, "kept tensor", dtype));
        if (state.stage.loaded) state.stage.loaded(static_cast<uint64_t>(src.elements * element_bytes(src.dtype)));
        const std::scoped_lock lock(state.tensors_mutex);
        state.kept_tensors.insert(owned.get());
        state.kept_bytes += owned->granted;
        static_cast<void>(block.release());  // owned frees it from now on
        *tensor = &owned.release()->tensor;
    });
}

void release(const vlm_compute* self, vlm_tensor* tensor) {
    if (tensor == nullptr || self == nullptr) return;
    State& state = *static_cast<State*>(self->impl);
    auto* owned = static_cast<OwnedTensor*>(tensor->owner);
    {
        const std::scoped_lock lock(state.tensors_mutex);
        if (state.kept_tensors.erase(owned) == 0) owned = nullptr;
    }
    if (owned == nullptr) {
        report(nullptr, VLM_STATUS_INVALID_ARGUMENT, "release", "the tensor is not one that was kept");
        return;
    }
    state.kept_bytes -= owned->granted;
    std::free(owned->block);
    delete owned;
}

vlm_status copy(const vlm_compute* self, const vlm_run_context* run, const vlm_tensor* src, vlm_tensor* dst) {
    return guarded(self, run, Op::copy,
                   [&](State& state) { convert_elements(state, view_of(src, "src", 0), view_of(dst, "dst", 0)); });
}

vlm_status fill(const vlm_compute* self, const vlm_run_context* run, vlm_tensor* dst, double value) {
    return guarded(self, run, Op::fill, [&](State& state) {
        const View to = view_of(dst, "dst", 0);
        if (!storable(to.dtype)) throw invalid_argument(to.text() + " cannot be written, 8-bit floats are only read");
        state.pool.parallel_for(0, to.elements, kCopyGrain, [&](int64_t begin, int64_t end) {
            with_type(to.dtype, [&](auto tag) {
                using To = decltype(tag);
                if constexpr (!std::is_same_v<To, F8E4M3> && !std::is_same_v<To, F8E5M2>) {
                    To element;
                    store_number(value, element);
                    Walker walker(to, begin);
                    for (int64_t i = begin; i < end; ++i, walker.next()) to.data<To>()[walker.offset()] = element;
                }
            });
        });
    });
}

}  // namespace vlm::cpu
