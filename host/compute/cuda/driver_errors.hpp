/** @file driver_errors.hpp
 *  Why a GPU cannot be had, in words for the person who has to change it. Apart from CUDA, so that every case is tested
 * where there is no GPU.
 */
#pragma once
#include <string>

namespace vlm::cuda {

/** What CUDA said when it was asked for its devices. Versions are `1000 * major + 10 * minor`, 0 when there is none. */
struct DriverReport {
    int driver_version = 0;   ///< Newest CUDA that the installed driver serves.
    int runtime_version = 0;  ///< CUDA that this library was built with.
    int devices = 0;
    bool no_device = false;
    bool driver_too_old = false;
    std::string error;  ///< CUDA's own words, "cudaErrorName: what it means"; empty when it answered.
};

/** One sentence with what to do, or an empty text when GPU `ordinal` can be opened. */
std::string why_unavailable(const DriverReport& report, int ordinal);

/** One sentence with what to do about a GPU that is there, but on which CUDA cannot begin to work.
 *  @param gpu    Its name.
 *  @param error  CUDA's own words, beginning with the name of the error. */
std::string why_not_opened(const std::string& gpu, const std::string& error);

/** What is known of an opened GPU. */
struct GpuReport {
    std::string name;
    int major = 0, minor = 0;  ///< Compute capability.
    bool memory_pools = true;
    std::string kernel_error;  ///< What CUDA said when it was asked for a kernel of this library; empty: it has it.
};

/** One sentence with what to do, or an empty text when this library's kernels run on the GPU. */
std::string why_unusable(const GpuReport& report);

/** One sentence with what to do, or an empty text when the GPU multiplies in fp8.
 *  @param gpu         Its description.
 *  @param capability  Its compute capability, 90 for 9.0. */
std::string why_no_fp8(const std::string& gpu, int capability);

}  // namespace vlm::cuda
