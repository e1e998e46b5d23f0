/** @file device.cpp
 *  See device.hpp.
 */
#include "host/compute/device.hpp"

#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/compute/cpu/cpu_compute.hpp"
#include "host/compute/cuda_device.hpp"

namespace vlm {

std::shared_ptr<Device> open_device(const std::string& name, const DeviceOptions& options) {
    if (name == "cpu") {
        ThreadPool::global().set_threads(options.threads);
        return open_cpu_device(options);
    }
    if (const auto ordinal = cuda_ordinal(name)) return open_cuda_device(*ordinal, options, cuda_library_candidates());
    throw invalid_argument("device '" + name + "' is none; known: cpu, cuda, cuda:N");
}

}  // namespace vlm
