/** @file load_faults.hpp
 *  Services that fail while a component loads: a full memory, or a checkpoint that lacks a tensor.
 */
#pragma once
#include <vlm/status.h>
#include <vlm/weights.h>

#include <memory>
#include <string>

#include "host/check/faulty_compute.hpp"

namespace vlm {

/** One load, of which one call fails or none. Lives as long as the component that was loaded: what a plugin keeps of
 * the compute service is given back through the table that it came from. */
class LoadFaults {
  public:
    /** What fails: call `at` (from 0) of the compute service, or the tensor that is found at place `at`. */
    enum class Service { compute, weights };
    /** Negative `at`: none does. */
    LoadFaults(Service service, int at) : service_(service), at_(at) {}
    LoadFaults(const LoadFaults&) = delete;
    LoadFaults& operator=(const LoadFaults&) = delete;

    /** `real` with the fault in front of it. */
    const vlm_compute* compute(const vlm_compute& real);
    /** `real` with the fault in front of it, for this thread and until the next such object is asked. */
    const vlm_weights& weights(const vlm_weights& real);

    /** How the load ended. `message` is what the plugin wrote into the error sink. */
    void ended(vlm_status status, std::string message);
    vlm_status status() const { return status_; }
    const std::string& message() const { return message_; }
    /** Calls of the service that could have failed. */
    int calls(Service service) const;

  private:
    Service service_;
    int at_;
    std::unique_ptr<FaultyCompute> compute_;
    vlm_weights weights_{};
    const vlm_weights* real_ = nullptr;
    int found_ = 0;
    vlm_status status_ = VLM_STATUS_OK;
    std::string message_;
};

}  // namespace vlm
