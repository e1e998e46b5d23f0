/** @file driver_errors.cpp
 *  See driver_errors.hpp.
 */
#include "host/compute/cuda/driver_errors.hpp"

namespace vlm::cuda {

namespace {

std::string version_text(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

}  // namespace

std::string why_unavailable(const DriverReport& report, int ordinal) {
    const std::string otherwise = ", or use the device \"cpu\"";
    if (report.driver_version == 0)
        return "no NVIDIA driver is loaded on this machine; install one that serves CUDA " +
               version_text(report.runtime_version) + otherwise;
    if (report.driver_too_old || report.driver_version / 1000 < report.runtime_version / 1000)
        return "the NVIDIA driver is too old: it serves CUDA " + version_text(report.driver_version) +
               ", this library was built with CUDA " + version_text(report.runtime_version) + "; update the driver" +
               otherwise;
    if (report.no_device || (report.error.empty() && report.devices == 0))
        return "the NVIDIA driver shows no GPU; is one installed, and does CUDA_VISIBLE_DEVICES allow it? Otherwise "
               "use the device \"cpu\"";
    if (!report.error.empty()) return "CUDA cannot be used: " + report.error + "; repair that" + otherwise;
    if (ordinal >= report.devices)
        return "there is no GPU " + std::to_string(ordinal) + ": this machine has " + std::to_string(report.devices) +
               ", numbered from 0";
    return {};
}

std::string why_unusable(const GpuReport& report) {
    constexpr int kOldestMajor = 8;
    const std::string gpu =
        report.name + " (compute capability " + std::to_string(report.major) + "." + std::to_string(report.minor) + ")";
    if (report.major < kOldestMajor)
        return gpu + " is too old: bf16 and asynchronous copies need compute capability " +
               std::to_string(kOldestMajor) + ".0 (Ampere) or later; choose another GPU, or use the device \"cpu\"";
    if (!report.memory_pools)
        return gpu +
               " has no stream-ordered memory pools (some virtual GPUs have none), which this library needs; "
               "choose another GPU, or use the device \"cpu\"";
    if (!report.kernel_error.empty())
        return gpu + ": this build of the CUDA compute library has no code that this GPU and its driver run (" +
               report.kernel_error +
               "); update the driver, or build with CMAKE_CUDA_ARCHITECTURES=" + std::to_string(report.major) +
               std::to_string(report.minor);
    return {};
}

}  // namespace vlm::cuda
