/** @file support.hpp
 *  What the tests of the CPU device share: tensors from values, a run context that remembers the error, every
 * instruction set of this machine.
 */
#pragma once
#include <gtest/gtest.h>
#include <vlm/compute.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host/base/cpu_features.hpp"
#include "host/compute/cpu/cpu_compute.hpp"
#include "tests/host/compute/pack_layer.hpp"

namespace vlm::test {

/** A tensor that owns its elements. */
template <class T>
struct Array {
    std::vector<T> values;
    std::vector<int64_t> shape;
    std::vector<int64_t> strides;
    vlm_tensor tensor{};

    Array() = default;
    explicit Array(std::vector<int64_t> dims, std::vector<T> elements = {})
        : values(std::move(elements)), shape(std::move(dims)) {
        int64_t count = 1;
        for (const int64_t d : shape) count *= d;
        values.resize(static_cast<size_t>(count));
    }
    static constexpr vlm_data_type type() {
        if constexpr (std::is_same_v<T, float>) return {VLM_TYPE_FLOAT, 32, 1};
        if constexpr (std::is_same_v<T, double>) return {VLM_TYPE_FLOAT, 64, 1};
        if constexpr (std::is_same_v<T, int32_t>) return {VLM_TYPE_INT, 32, 1};
        if constexpr (std::is_same_v<T, int64_t>) return {VLM_TYPE_INT, 64, 1};
        if constexpr (std::is_same_v<T, uint8_t>) return {VLM_TYPE_UINT, 8, 1};
        return {VLM_TYPE_BFLOAT, 16, 1};  // uint16_t stands for bf16
    }
    /** The ABI's view; valid until the array moves. */
    vlm_tensor* abi() {
        tensor = {};
        tensor.struct_size = sizeof(tensor);
        tensor.abi_version = VLM_ABI_VERSION;
        tensor.view.data = values.data();
        tensor.view.device = {VLM_DEVICE_CPU, 0};
        tensor.view.ndim = static_cast<int32_t>(shape.size());
        tensor.view.dtype = type();
        tensor.view.shape = shape.data();
        tensor.view.strides = strides.empty() ? nullptr : strides.data();
        return &tensor;
    }
    T& operator[](int64_t i) { return values[static_cast<size_t>(i)]; }
    const T& operator[](int64_t i) const { return values[static_cast<size_t>(i)]; }
    int64_t size() const { return static_cast<int64_t>(values.size()); }
};

constexpr double kRoundoff = 0x1p-24;  ///< Largest relative error of one rounding to f32.

using Floats = Array<float>;
using Ints = Array<int32_t>;
using Bytes = Array<uint8_t>;

/** A strided view of another array's memory. */
template <class T>
struct ViewOf {
    std::vector<int64_t> shape, strides;
    vlm_tensor tensor{};
    ViewOf(Array<T>& source, int64_t offset, std::vector<int64_t> dims, std::vector<int64_t> steps)
        : shape(std::move(dims)), strides(std::move(steps)), tensor(*source.abi()) {
        tensor.view.ndim = static_cast<int32_t>(shape.size());
        tensor.view.shape = shape.data();
        tensor.view.strides = strides.data();
        tensor.view.byte_offset = static_cast<uint64_t>(offset) * sizeof(T);
    }
    vlm_tensor* abi() {
        tensor.view.shape = shape.data();
        tensor.view.strides = strides.data();
        return &tensor;
    }
};

inline Floats random_floats(std::vector<int64_t> shape, uint32_t seed, float spread = 1.0f) {
    Floats a(std::move(shape));
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    for (float& v : a.values) v = normal(generator);
    return a;
}

/** A device and a run context that remembers the last error. */
class Device {
  public:
    explicit Device(CpuOptions options = {}) : compute_(options) {
        run_.struct_size = sizeof(run_);
        run_.abi_version = VLM_ABI_VERSION;
        run_.host = this;
        run_.compute = compute_.table();
        run_.error = [](void* host, vlm_status, const char* message) { static_cast<Device*>(host)->error = message; };
    }
    const vlm_compute* operator->() const { return compute_.table(); }
    const vlm_compute* table() const { return compute_.table(); }
    const vlm_run_context* run() const { return &run_; }
    CpuCompute& compute() { return compute_; }

    /** A packed layer; fails the test when it cannot be packed. */
    std::shared_ptr<vlm_linear> pack(const std::vector<const vlm_tensor*>& weights,
                                     const std::vector<const vlm_tensor*>& biases, uint32_t flags = 0,
                                     const char* name = "test layer") {
        auto packed = pack_parts(table(), weights, biases, flags, name);
        EXPECT_EQ(packed.status, VLM_STATUS_OK) << CpuCompute::load_error();
        return packed.layer;
    }

    std::string error;

  private:
    CpuCompute compute_;
    vlm_run_context run_{};
};

/** Calls `fn(isa)` under every cap up to what the machine has. */
template <class Fn>
void for_each_isa(Fn fn) {
    for (const Isa isa : {Isa::scalar, Isa::avx2, Isa::avx512, Isa::avx512_bf16, Isa::amx}) {
        if (isa > active_isa()) break;
        const ScopedIsaCap cap(isa);
        SCOPED_TRACE(isa_name(isa));
        fn(isa);
    }
}

/** Largest |a - b| relative to the largest |b| (at least `floor`). */
template <class A, class B>
double relative_error(const A& a, const B& b, double floor = 1e-6) {
    double worst = 0, scale = floor;
    for (size_t i = 0; i < b.size(); ++i) {
        const double difference = std::abs(static_cast<double>(a[i]) - static_cast<double>(b[i]));
        worst = std::isnan(difference) ? INFINITY : std::max(worst, difference);
        scale = std::max(scale, std::abs(static_cast<double>(b[i])));
    }
    return worst / scale;
}

}  // namespace vlm::test

#define EXPECT_OK(device, call) EXPECT_EQ(call, VLM_STATUS_OK) << (device).error
