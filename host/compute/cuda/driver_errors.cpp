/** @file driver_errors.cpp
 *  See driver_errors.hpp.
 */
#include "host/compute/cuda/driver_errors.hpp"

namespace vlm::cuda {

namespace {

std::string version_text(int version) {
    return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

/** What to do about an error of CUDA that has a known cause; empty for others. The names are those of
 * driver_types.h. */
std::string known_cause(const std::string& error) {
    struct Cause {
        const char* name;
        const char* words;
    };
    constexpr Cause kCauses[] = {
        {"cudaErrorSystemDriverMismatch",
         "the loaded NVIDIA kernel driver and the installed driver libraries have different versions, as after an "
         "update; "
         "restart the machine, or load the kernel modules anew"},
        {"cudaErrorSystemNotReady",
         "the GPU's system services do not run; start them (systemctl start nvidia-fabricmanager), and look into the "
         "kernel's log if they do not start"},
        {"cudaErrorCompatNotSupportedOnDevice",
         "a CUDA compatibility package (cuda-compat) is in use that this GPU does not support; remove it and update "
         "the "
         "driver instead"},
        {"cudaErrorStubLibrary",
         "the libcuda.so.1 that was found is the toolkit's stub, not the driver; take the folder 'stubs' out of "
         "LD_LIBRARY_PATH"},
        {"cudaErrorDevicesUnavailable",
         "another process has the GPU for itself; nvidia-smi shows which, and `nvidia-smi -c 0` (as administrator) "
         "lets "
         "several share it"},
        {"cudaErrorOperatingSystem",
         "the system forbids the access; are the files /dev/nvidia* there for this user, and in a container, was it "
         "started with the GPU (--gpus)?"},
        {"cudaErrorMemoryAllocation",
         "its memory does not even hold the driver's own part; nvidia-smi shows who has it, end one of those or choose "
         "another GPU"},
    };
    for (const Cause& cause : kCauses)
        if (error.starts_with(std::string(cause.name) + ":")) return cause.words;
    return {};
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
    if (!report.error.empty()) {
        const std::string cause = known_cause(report.error);
        return "CUDA cannot be used: " + (cause.empty() ? "repair that" : cause) + otherwise + " (" + report.error +
               ")";
    }
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

std::string why_no_fp8(const std::string& gpu, int capability) {
    constexpr int kFirst = 89;
    if (capability >= kFirst) return {};
    return "weights \"fp8\": " + gpu + " has compute capability " + std::to_string(capability / 10) + "." +
           std::to_string(capability % 10) +
           ", and products in fp8 need 8.9 (Ada, Hopper, Blackwell) or later; use \"int8\", which takes as much memory";
}

std::string why_not_opened(const std::string& gpu, const std::string& error) {
    const std::string cause = known_cause(error);
    return gpu + " cannot be opened: " + (cause.empty() ? "see the kernel's log (dmesg)" : cause) +
           ", or use the device \"cpu\" (" + error + ")";
}

}  // namespace vlm::cuda
