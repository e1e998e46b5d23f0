/** @file rig.hpp
 *  Two devices side by side, the CPU in f32 as the reference and a CUDA device, and the same operation on both. Which
 * CUDA device: the emulated one in every build, a real GPU in tests/gpu.
 */
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "host/base/error.hpp"
#include "host/base/tensor.hpp"
#include "host/compute/cuda_device.hpp"
#include "host/compute/decoding_device.hpp"
#include "host/compute/device.hpp"
#include "host/services/run.hpp"
#include "tests/host/compute/pack_layer.hpp"

namespace vlm::test {

/** A tensor view that owns its shape. */
class Part {
  public:
    /** Elements from `offset` on, with strides. */
    Part(const Tensor& source, int64_t offset, std::vector<int64_t> shape, std::vector<int64_t> strides)
        : shape_(std::move(shape)), strides_(std::move(strides)), tensor_(*source.abi()) {
        tensor_.view.ndim = static_cast<int32_t>(shape_.size());
        tensor_.view.shape = shape_.data();
        tensor_.view.strides = strides_.data();
        tensor_.view.byte_offset = static_cast<uint64_t>(offset * dtype_bytes(source.dtype()));
    }
    Part(const Part&) = delete;
    Part& operator=(const Part&) = delete;
    vlm_tensor* abi() { return &tensor_; }

  private:
    std::vector<int64_t> shape_, strides_;
    vlm_tensor tensor_;
};

/** Tensors of these tests are shared and const; what the table writes to is their memory. */
inline vlm_tensor* writable(const vlm_tensor* tensor) {
    return const_cast<vlm_tensor*>(tensor);
}
template <class T>
T writable(T argument) {
    return argument;
}

/** One device and a run on it. */
class Side {
  public:
    explicit Side(std::shared_ptr<Device> device)
        : device_(std::move(device)), run_(device_->compute(), nullptr, nullptr, device_->stream()) {}
    ~Side() { device_->end_run(context()); }

    const vlm_compute* table() const { return device_->compute(); }
    const vlm_run_context* context() { return run_.context(VLM_ABI_VERSION); }
    Device& device() { return *device_; }
    DecodingDevice& decoding() { return dynamic_cast<DecodingDevice&>(*device_); }
    uint32_t activations() const { return table()->activation_dtype; }

    /** Calls a function of the table. @throws Error. */
    template <class Slot, class... Arguments>
    void call(Slot slot, Arguments... arguments) {
        run_.check((table()->*slot)(table(), context(), writable(arguments)...), "call");
    }
    Tensor make(uint32_t dtype, std::vector<int64_t> shape) {
        return Tensor(dtype, std::move(shape), device_->allocator());
    }
    /** Activations. */
    Tensor make(std::vector<int64_t> shape) { return make(activations(), std::move(shape)); }
    Tensor put(const Tensor& host, uint32_t dtype = 0) {
        Tensor tensor = make(dtype != 0 ? dtype : host.dtype(), host.shape());
        call(&vlm_compute::copy, host.abi(), tensor.abi());
        return tensor;
    }
    /** As activations. */
    Tensor act(const Tensor& host) { return put(host, activations()); }
    /** On the CPU, as f32 when a float. */
    Tensor get(const Tensor& tensor) {
        const bool is_float = tensor.dtype() >> 16 == VLM_TYPE_FLOAT || tensor.dtype() >> 16 == VLM_TYPE_BFLOAT;
        Tensor host(is_float ? VLM_DTYPE_F32 : tensor.dtype(), tensor.shape());
        call(&vlm_compute::copy, tensor.abi(), host.abi());
        return host;
    }

  private:
    std::shared_ptr<Device> device_;
    Run run_;
};

inline Tensor floats(std::vector<int64_t> shape, uint32_t seed, float spread = 1.0f) {
    Tensor tensor(VLM_DTYPE_F32, std::move(shape));
    std::mt19937 generator(seed);
    std::normal_distribution<float> normal(0.0f, spread);
    for (float& v : tensor.span<float>()) v = normal(generator);
    return tensor;
}
inline Tensor ints(const std::vector<int32_t>& values) {
    Tensor tensor(VLM_DTYPE_I32, {static_cast<int64_t>(values.size())});
    std::copy(values.begin(), values.end(), tensor.span<int32_t>().begin());
    return tensor;
}
inline Tensor bytes(const std::vector<uint8_t>& values, std::vector<int64_t> shape = {}) {
    if (shape.empty()) shape = {static_cast<int64_t>(values.size())};
    Tensor tensor(VLM_DTYPE_U8, std::move(shape));
    std::copy(values.begin(), values.end(), tensor.span<uint8_t>().begin());
    return tensor;
}

/** A packed layer that frees itself; parts behind the last of `biases` have none.
 *  @throws Error with the status of linear_pack. */
inline std::shared_ptr<vlm_linear> pack_layer(const vlm_compute* compute, const std::vector<Tensor>& weights,
                                              const std::vector<Tensor>& biases = {}, uint32_t flags = 0,
                                              const char* name = "test layer") {
    std::vector<const vlm_tensor*> w, b;
    for (const Tensor& t : weights) w.push_back(t.abi());
    for (const Tensor& t : biases) b.push_back(t ? t.abi() : nullptr);
    if (!b.empty()) b.resize(w.size(), nullptr);
    auto packed = pack_parts(compute, w, b, flags, name);
    if (packed.status != VLM_STATUS_OK) throw Error(packed.status, "the layer was not packed");
    return packed.layer;
}

/** Bytes that a layer of 64 x 64 takes, under a name and flags. */
inline int64_t bytes_of(Device& device, const std::string& stage, const char* name, uint32_t flags) {
    device.begin_stage({stage, nullptr});
    const int64_t before = device.counters().weight_bytes;
    const auto layer = pack_layer(device.compute(), {floats({64, 64}, 13)}, {}, flags, name);
    return device.counters().weight_bytes - before;
}

/** Which CUDA device a test runs on. */
struct Target {
    const char* name;
    const char* order;  ///< Of the emulation; NULL: a real GPU.
    const char* dtype;
};

inline std::shared_ptr<Device> open_target(const Target& target, const std::string& weights = "auto") {
    if (target.order == nullptr) return open_device("cuda", {target.dtype, weights});
#ifdef VLM_EMULATED_CUDA
    setenv("VLM_EMULATED_ORDER", target.order, 1);
    return open_cuda_device(0, {target.dtype, weights}, {VLM_EMULATED_CUDA});
#else
    throw failed_precondition("no emulation in this program");
#endif
}

/** The reference and the device under test. */
class CudaOps : public testing::TestWithParam<Target> {
  protected:
    void SetUp() override {
        try {
            gpu_ = std::make_unique<Side>(open_target(GetParam()));
        } catch (const Error& error) {
            if (GetParam().order == nullptr && error.code() == VLM_STATUS_UNAVAILABLE) GTEST_SKIP() << error.what();
            throw;
        }
        cpu_ = std::make_unique<Side>(open_device("cpu", {"f32", "f32"}));
    }
    bool half() const { return std::string(GetParam().dtype) == "bf16"; }
    /** Error relative to the largest element: rounding of f32 sums in another order, or of bf16. */
    double tolerance() const { return half() ? 2e-2 : 2e-5; }

    /** Runs `fn` on both sides and compares what it returns: floats within the tolerance, integers exactly. */
    void compare(const std::function<std::vector<Tensor>(Side&)>& fn) {
        const std::vector<Tensor> expected = fn(*cpu_), found = fn(*gpu_);
        ASSERT_EQ(expected.size(), found.size());
        for (size_t i = 0; i < expected.size(); ++i) {
            SCOPED_TRACE("output " + std::to_string(i));
            expect_close(cpu_->get(expected[i]), gpu_->get(found[i]));
        }
    }
    void expect_close(const Tensor& expected, const Tensor& found) const {
        ASSERT_EQ(expected.shape(), found.shape());
        ASSERT_EQ(expected.dtype(), found.dtype());
        if (expected.dtype() != VLM_DTYPE_F32) {
            EXPECT_EQ(std::memcmp(expected.data<char>(), found.data<char>(),
                                  static_cast<size_t>(expected.elements() * dtype_bytes(expected.dtype()))),
                      0);
            return;
        }
        double scale = 1e-6, worst = 0;
        for (int64_t i = 0; i < expected.elements(); ++i) {
            const double e = static_cast<double>(expected.data<float>()[i]);
            const double f = static_cast<double>(found.data<float>()[i]);
            if (e == f || (std::isnan(e) && std::isnan(f))) continue;
            scale = std::max(scale, std::isfinite(e) ? std::abs(e) : 0.0);
            worst = std::isfinite(f - e) ? std::max(worst, std::abs(f - e)) : INFINITY;
        }
        for (const float e : expected.span<float>())
            if (std::isfinite(e)) scale = std::max(scale, std::abs(static_cast<double>(e)));
        EXPECT_LE(worst / scale, tolerance());
    }

    std::unique_ptr<Side> cpu_, gpu_;
};

/** The targets of the program that this is compiled into. */
inline std::vector<Target> targets() {
#ifdef VLM_EMULATED_CUDA
    return {{"serial_f32", "serial", "f32"},     {"serial_bf16", "serial", "bf16"}, {"forward_f32", "forward", "f32"},
            {"backward_f32", "backward", "f32"}, {"late_f32", "late", "f32"},       {"late_bf16", "late", "bf16"}};
#else
    return {{"gpu_f32", nullptr, "f32"}, {"gpu_bf16", nullptr, "bf16"}};
#endif
}
inline std::string target_name(const testing::TestParamInfo<Target>& info) {
    return info.param.name;
}

}  // namespace vlm::test
