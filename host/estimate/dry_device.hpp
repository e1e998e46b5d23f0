/** @file dry_device.hpp
 *  A device that counts work instead of doing it.
 *
 *  Plugins run on it as on any device: they load weights (only shapes are looked at), plan, and call the compute
 * service. What costs time is counted and left out; what steers the plugins (maps, masks, positions, copies) is carried
 * out. So the work of any family, a vendor's too, is known from its own calls, and no formula here has to know an
 * architecture. Decisions that depend on values (merging by a threshold) cannot be foreseen: all similarities are 0
 * here.
 */
#pragma once
#include <memory>

#include "host/compute/cpu/cpu_compute.hpp"
#include "host/compute/device.hpp"

namespace vlm::estimate {

/** What was asked of a device. */
struct Work {
    double linear_flops = 0;     ///< `2 * rows * in * out` of every linear layer.
    double matmul_flops = 0;     ///< `2 * m * n * k` of every other product.
    double attention_flops = 0;  ///< `2 * pairs * heads * (head_dim + v_head_dim)`; pairs: (row, visible key).
    double weight_bytes = 0;     ///< Bytes of packed weights read: a layer's, once per call.
    double kv_bytes = 0;         ///< Bytes of keys and values read: all that a call sees, once.

    double flops() const { return linear_flops + matmul_flops + attention_flops; }
    Work operator-(const Work& before) const;
};

/** Bytes of one element of a packed weight: "f32" 4, "bf16" 2, "int8" 8.25 bits, "int4" 4.5 bits (with the scales of
 * their groups), "fp8" 1 and a scale for 1024 inputs; "auto" and "f16": 2.
 *  @throws Error INVALID_ARGUMENT for another name. */
double weight_element_bytes(const std::string& weights);

/** The counting device. */
class DryDevice final : public Device {
  public:
    /** `weights` as in the manifest; activations and keys have 2 bytes unless `dtype` is "f32". With "int4", output
     * layers and the stages before the backbone have 8 bits, as on the devices that compute; `weights_of` is not looked
     * at. */
    DryDevice(const std::string& dtype, const std::string& weights);
    ~DryDevice() override;
    DryDevice(const DryDevice&) = delete;
    DryDevice& operator=(const DryDevice&) = delete;

    const vlm_compute* compute() const override;
    const Allocator& allocator() const override { return cpu_.allocator(); }
    void end_run(const vlm_run_context* run) override { cpu_.end_run(run); }
    DeviceCounters counters() const override;
    double weight_element_bytes() const override;
    std::string description() const override { return "dry run: work is counted, nothing is computed"; }

    void begin_stage(LoadingStage stage) override;

    Work work() const;
    void reset_peak() { cpu_.reset_statistics(); }
    /** Number of weights that a stage has packed or kept, biases left out; 0 for stages that there are none of. */
    double stage_weights(const std::string& stage) const;
    /** Bytes of an element of a stage's packed weights, output layers apart, and of cached keys and values. */
    double weight_element(const std::string& stage) const;
    double cache_element() const;

    struct Table;

  private:
    CpuCompute cpu_;
    std::unique_ptr<Table> table_;
};

}  // namespace vlm::estimate
