/** @file device_run_test.cpp
 *  A run gives back what its device lent it, also when it ends by an error.
 */
#include "host/services/device_run.hpp"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

namespace {

/** A device that only remembers the runs that ended. */
class WatchedDevice : public vlm::Device {
  public:
    const vlm_compute* compute() const override { return &table_; }
    const vlm::Allocator& allocator() const override { return vlm::Allocator::cpu(); }
    void* stream() const override { return const_cast<vlm_compute*>(&table_); }
    void end_run(const vlm_run_context* run) override { ended.push_back(run); }
    vlm::DeviceCounters counters() const override { return {}; }
    std::string description() const override { return "watched"; }

    std::vector<const vlm_run_context*> ended;

  private:
    vlm_compute table_{};
};

TEST(DeviceRun, CallsUseTheDevice) {
    WatchedDevice device;
    const vlm::Listeners quiet;
    vlm::DeviceRun run(device, &quiet);
    const vlm_run_context* context = run.context(VLM_ABI_VERSION);
    EXPECT_EQ(context->compute, device.compute());
    EXPECT_EQ(context->stream, device.stream());
    EXPECT_TRUE(device.ended.empty());
}

TEST(DeviceRun, EndsOnceHoweverItEnds) {
    WatchedDevice device;
    const vlm_run_context* context = nullptr;
    try {
        vlm::DeviceRun run(device, nullptr);
        context = run.context(VLM_ABI_VERSION);
        throw std::runtime_error("a stage failed");
    } catch (const std::runtime_error&) {
        EXPECT_EQ(device.ended, std::vector{context});
    }
}

}  // namespace
