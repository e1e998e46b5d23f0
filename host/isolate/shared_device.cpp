/** @file shared_device.cpp
 *  See shared_device.hpp.
 */
#include "host/isolate/shared_device.hpp"

#include <utility>

namespace vlm::isolate {
namespace {

class SharedDevice final : public Device {
  public:
    SharedDevice(std::shared_ptr<Device> device, std::shared_ptr<SharedArena> arena)
        : device_(std::move(device)), arena_(std::move(arena)) {}
    const vlm_compute* compute() const override { return device_->compute(); }
    const Allocator& allocator() const override { return arena_->allocator(); }
    void* stream() const override { return device_->stream(); }
    void wait() override { device_->wait(); }
    void end_run(const vlm_run_context* run) override { device_->end_run(run); }
    DeviceCounters counters() const override { return device_->counters(); }
    void begin_stage(LoadingStage stage) override { device_->begin_stage(std::move(stage)); }
    std::vector<PackedLayer> packed_layers() const override { return device_->packed_layers(); }
    std::string packing() const override { return device_->packing(); }
    int packing_version() const override { return device_->packing_version(); }
    void use_packed_cache(std::shared_ptr<PackedCache> cache) override { device_->use_packed_cache(std::move(cache)); }
    MemoryLimit memory_left() const override { return device_->memory_left(); }
    ExactRows exact_rows() const override { return device_->exact_rows(); }
    std::string description() const override { return device_->description(); }

  private:
    std::shared_ptr<Device> device_;
    std::shared_ptr<SharedArena> arena_;
};

}  // namespace

std::shared_ptr<Device> share_tensors(std::shared_ptr<Device> device, std::shared_ptr<SharedArena> arena) {
    return std::make_shared<SharedDevice>(std::move(device), std::move(arena));
}

}  // namespace vlm::isolate
