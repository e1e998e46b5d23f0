/** @file cuda_device.hpp
 *  The host's side of the CUDA compute library: what a device name means, where the library lies, and an open GPU as a
 * `Device`.
 */
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/compute/device.hpp"

namespace vlm {

/** Ordinal of "cuda" (0) and "cuda:N"; nothing for names of other devices.
 *  @throws Error INVALID_ARGUMENT when N is no number from 0 to 255. */
std::optional<int> cuda_ordinal(const std::string& name);

/** Where libvlm_compute_cuda.so is looked for, best first: the environment variable VLM_CUDA_LIBRARY (not in programs
 * with raised privileges), beside the program, in `lib/vlm` beside its folder, beside libvlmhost, and where it was
 * installed. */
std::vector<std::filesystem::path> cuda_library_candidates();

/** Opens a GPU.
 *  @param candidates  Files to try; the first that exists is loaded.
 *  @throws Error UNAVAILABLE when the library is not there or cannot be loaded, or the GPU cannot be had: each time
 * with the reason and what to do. */
std::shared_ptr<Device> open_cuda_device(int ordinal, const DeviceOptions& options,
                                         const std::vector<std::filesystem::path>& candidates);

}  // namespace vlm
