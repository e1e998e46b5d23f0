/** @file device.cpp
 *  See device.hpp.
 */
#include "host/compute/device.hpp"

#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/compute/cpu/cpu_compute.hpp"

namespace vlm {

std::shared_ptr<Device> open_device(const std::string& name, const DeviceOptions& options) {
    if (name == "cpu") {
        ThreadPool::global().set_threads(options.threads);
        return open_cpu_device(options);
    }
    if (name == "cuda" || name.starts_with("cuda:"))
        throw Error(VLM_STATUS_UNAVAILABLE,
                    "device '" + name + "': this build has no CUDA compute library; use \"cpu\"");
    throw invalid_argument("device '" + name + "' is none; known: cpu, cuda, cuda:N");
}

}  // namespace vlm
