/** @file stage_devices.hpp
 *  Which device each stage computes on. Usually that is one for all; a manifest may put the vision encoder on one GPU
 * and the language model on another, or a part on the CPU. Tensors that go from a stage to the next are then carried
 * over by the host, so no plugin sees a tensor of another device than its own.
 */
#pragma once
#include <array>
#include <memory>
#include <string>
#include <vector>

#include "host/base/tensor.hpp"
#include "host/compute/device.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/services/device_run.hpp"

namespace vlm {

struct Manifest;

/** The stages that own weights and compute; what a manifest can give a device. */
enum class StageKind { vision_encoder, connector, backbone };
inline constexpr std::array<StageKind, 3> kStageKinds = {StageKind::vision_encoder, StageKind::connector,
                                                         StageKind::backbone};
/** The stage's name in manifests and recipes, "vision_encoder". */
const char* stage_name(StageKind kind);

/** A device's name in one spelling: "cuda" is "cuda:0". */
std::string canonical_device(const std::string& name);
/** The canonical names of the devices that a manifest gives its stages, in the order of kStageKinds. */
std::array<std::string, 3> stage_device_names(const Manifest& manifest);

/** Refuses a plugin on a device that its capabilities do not name; one that names none runs anywhere.
 *  @param capabilities  JSON object, see vlm_plugin.
 *  @param device        Canonical name.
 *  @throws Error FAILED_PRECONDITION. */
void check_runs_on(const std::string& plugin_id, const std::string& capabilities, const std::string& device);

/** An open device and the name that manifests have for it. */
struct NamedDevice {
    std::string name;
    std::shared_ptr<Device> device;
};

/** The devices of a pipeline, each open once. */
class StageDevices {
  public:
    StageDevices() = default;
    /** Opens what `names` name. @throws Error as open_device(), with the stages that asked for it. */
    StageDevices(const std::array<std::string, 3>& names, const DeviceOptions& options);
    /** One device for all stages. */
    explicit StageDevices(NamedDevice device);

    Device& of(StageKind kind) const { return *at(kind).device; }
    const std::string& name_of(StageKind kind) const { return at(kind).name; }
    /** Place in all() of a stage's device, by the stage's name. */
    size_t index_of(const std::string& stage) const;
    /** Without repetition, in the order of the stages. */
    const std::vector<NamedDevice>& all() const { return devices_; }
    /** Whether the stages share one device. */
    bool one() const { return devices_.size() == 1; }
    /** Stages of a device, in their order. */
    std::vector<StageKind> stages_on(const NamedDevice& device) const;
    /** Sums over all devices. */
    DeviceCounters counters() const;
    /** "CPU, AVX2, …", or with several "vision encoder on …; connector on …; …". */
    std::string description() const;

  private:
    const NamedDevice& at(StageKind kind) const { return devices_[index_[static_cast<size_t>(kind)]]; }

    std::vector<NamedDevice> devices_;
    std::array<size_t, 3> index_{};
};

/** A run on the device of a stage: the given one where it is of that device, else one of its own that hears and says
 * the same, and gives back what it was lent when it ends. Hooks of the stage go to reducers on its device meanwhile. */
class StageRun {
  public:
    StageRun(Device& device, Run& run, HookService& hooks);
    ~StageRun();
    StageRun(const StageRun&) = delete;
    StageRun& operator=(const StageRun&) = delete;

    Run& run() { return own_ ? *own_ : *run_; }
    const Allocator& memory() const { return device_->allocator(); }
    /** A tensor of the run `from` here, as `dtype` (0: as it is): itself when it is so already, else a copy. Between
     * two GPUs it goes through the CPU. */
    Tensor carry(Run& from, const Tensor& tensor, uint32_t dtype = 0);

  private:
    Device* device_;
    Run* run_;
    std::unique_ptr<DeviceRun> own_;
    HookService* hooks_;
    HookService::Place outer_;
};

}  // namespace vlm
