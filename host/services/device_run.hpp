/** @file device_run.hpp
 *  A run on a device: calls use its table and stream, and it gets back what it lent when the run ends, however it ends.
 */
#pragma once
#include "host/compute/device.hpp"
#include "host/services/run.hpp"

namespace vlm {

class DeviceRun : public Run {
  public:
    /** `device` and `listeners` (NULL: nobody listens) are borrowed. */
    DeviceRun(Device& device, const Listeners* listeners, const vlm_hooks* hooks = nullptr)
        : Run(device.compute(), listeners, hooks, device.stream()), device_(device) {}
    ~DeviceRun() { device_.end_run(context(VLM_ABI_VERSION)); }
    DeviceRun(const DeviceRun&) = delete;
    DeviceRun& operator=(const DeviceRun&) = delete;

  private:
    Device& device_;
};

}  // namespace vlm
