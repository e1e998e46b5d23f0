/** @file load_faults.cpp
 *  See load_faults.hpp.
 */
#include "host/check/load_faults.hpp"

#include <utility>

namespace vlm {
namespace {

/** Whose weights are being read. Not behind `vlm_weights::host`, which other services of the host know. */
thread_local LoadFaults* reading = nullptr;

}  // namespace

const vlm_compute* LoadFaults::compute(const vlm_compute& real) {
    compute_ = std::make_unique<FaultyCompute>(real, service_ == Service::compute ? at_ : -1);
    return compute_->table();
}

const vlm_weights& LoadFaults::weights(const vlm_weights& real) {
    real_ = &real;
    weights_ = real;
    reading = this;
    weights_.find = [](void* host, const char* name, const vlm_tensor** tensor) -> vlm_status {
        auto& self = *reading;
        const vlm_status status = self.real_->find(host, name, tensor);
        if (status != VLM_STATUS_OK || self.found_++ != self.at_ || self.service_ != Service::weights) return status;
        *tensor = nullptr;
        return VLM_STATUS_NOT_FOUND;
    };
    return weights_;
}

void LoadFaults::ended(vlm_status status, std::string message) {
    status_ = status;
    message_ = std::move(message);
}

int LoadFaults::calls(Service service) const {
    if (service == Service::weights) return found_;
    return compute_ ? compute_->calls() : 0;
}

}  // namespace vlm
