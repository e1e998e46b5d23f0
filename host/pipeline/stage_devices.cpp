/** @file stage_devices.cpp
 *  See stage_devices.hpp.
 */
#include "host/pipeline/stage_devices.hpp"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/compute/cuda_device.hpp"
#include "host/pipeline/manifest.hpp"

namespace vlm {
namespace {

bool same_device(const vlm_device& a, const vlm_device& b) {
    return a.device_type == b.device_type && a.device_id == b.device_id;
}

std::string for_people(StageKind kind) {
    std::string name = stage_name(kind);
    std::replace(name.begin(), name.end(), '_', ' ');
    return name;
}

void copy(Run& run, const Tensor& from, Tensor& to) {
    const auto& compute = run.compute();
    run.check(compute.copy(&compute, run.context(VLM_ABI_VERSION), from.abi(), to.abi()),
              "carrying a tensor to the device of the next stage");
}

}  // namespace

const char* stage_name(StageKind kind) {
    constexpr std::array<const char*, 3> names = {"vision_encoder", "connector", "backbone"};
    return names[static_cast<size_t>(kind)];
}

std::string canonical_device(const std::string& name) {
    const auto ordinal = cuda_ordinal(name);
    return ordinal ? "cuda:" + std::to_string(*ordinal) : name;
}

std::array<std::string, 3> stage_device_names(const Manifest& manifest) {
    const std::array<const StageManifest*, 3> stages = {&manifest.vision_encoder, &manifest.connector,
                                                        &manifest.backbone};
    std::array<std::string, 3> names;
    for (size_t i = 0; i < stages.size(); ++i)
        names[i] = canonical_device(stages[i]->device.empty() ? manifest.device : stages[i]->device);
    return names;
}

void check_runs_on(const std::string& plugin_id, const std::string& capabilities, const std::string& device) {
    const auto said = nlohmann::json::parse(capabilities, nullptr, false);
    if (!said.is_object() || !said.contains("devices") || !said["devices"].is_array()) return;
    const std::string family = device.substr(0, device.find(':'));
    std::string known;
    for (const auto& item : said["devices"]) {
        if (item == family) return;
        if (item.is_string()) known += (known.empty() ? "" : ", ") + item.get<std::string>();
    }
    throw failed_precondition(
        plugin_id + " runs on " + (known.empty() ? "no device" : known) + " (its capabilities), and its stage is on " +
        device + "; give the stage a \"device\" of its own in the manifest, or compute all on one of those");
}

StageDevices::StageDevices(const std::array<std::string, 3>& names, const DeviceOptions& options) {
    for (size_t i = 0; i < names.size(); ++i) {
        const auto known =
            std::find_if(devices_.begin(), devices_.end(), [&](const auto& device) { return device.name == names[i]; });
        index_[i] = static_cast<size_t>(known - devices_.begin());
        if (known == devices_.end()) devices_.push_back({names[i], nullptr});
    }
    for (auto& device : devices_) {
        try {
            device.device = open_device(device.name, options);
        } catch (const Error& error) {
            if (one()) throw;
            std::string stages;
            for (const StageKind kind : stages_on(device)) stages += (stages.empty() ? "" : ", ") + for_people(kind);
            throw Error(error.code(), std::string(error.what()) + " (asked for by: " + stages + ")");
        }
    }
}

StageDevices::StageDevices(NamedDevice device) : devices_{std::move(device)} {}

size_t StageDevices::index_of(const std::string& stage) const {
    for (const StageKind kind : kStageKinds)
        if (stage == stage_name(kind)) return index_[static_cast<size_t>(kind)];
    return index_.back();
}

std::vector<StageKind> StageDevices::stages_on(const NamedDevice& device) const {
    std::vector<StageKind> kinds;
    for (const StageKind kind : kStageKinds)
        if (at(kind).name == device.name) kinds.push_back(kind);
    return kinds;
}

DeviceCounters StageDevices::counters() const {
    DeviceCounters sum;
    for (const auto& device : devices_) {
        const DeviceCounters one = device.device->counters();
        sum.flops += one.flops;
        sum.weight_bytes += one.weight_bytes;
        sum.peak_scratch_bytes += one.peak_scratch_bytes;
        sum.synchronizations += one.synchronizations;
    }
    return sum;
}

std::string StageDevices::description() const {
    if (one()) return devices_.front().device->description();
    std::string text;
    for (const StageKind kind : kStageKinds)
        text += (text.empty() ? "" : "; ") + for_people(kind) + " on " + name_of(kind) + " (" + of(kind).description() +
                ")";
    return text;
}

StageRun::StageRun(Device& device, Run& run, HookService& hooks)
    : device_(&device), run_(&run), hooks_(&hooks), outer_(hooks.place()) {
    if (device.compute() != &run.compute()) own_ = std::make_unique<DeviceRun>(device, run.listeners(), hooks.abi());
    hooks.move_to({&this->run(), device.allocator()});
}

StageRun::~StageRun() {
    hooks_->move_to(outer_);
}

Tensor StageRun::carry(Run& from, const Tensor& tensor, uint32_t dtype) {
    if (!tensor) return {};
    const uint32_t wanted = dtype != 0 ? dtype : tensor.dtype();
    const Allocator& here = memory();
    const bool source_on_cpu = tensor.on_cpu();
    const bool target_on_cpu = here.device.device_type == VLM_DEVICE_CPU;
    if (same_device(tensor.device(), here.device) && tensor.dtype() == wanted) return tensor;
    Tensor made(wanted, tensor.shape(), here);
    if (tensor.elements() == 0) return made;
    if (same_device(tensor.device(), here.device) || source_on_cpu) {
        copy(run(), tensor, made);
    } else if (target_on_cpu) {
        copy(from, tensor, made);
    } else {
        Tensor between(tensor.dtype(), tensor.shape());
        copy(from, tensor, between);
        copy(run(), between, made);
    }
    return made;
}

}  // namespace vlm
