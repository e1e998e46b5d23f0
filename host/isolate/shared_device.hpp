/** @file shared_device.hpp
 *  The pipeline's device, with its tensors in the memory that isolated plugins see: then handing one over costs
 * nothing.
 */
#pragma once
#include <memory>

#include "host/compute/device.hpp"
#include "host/isolate/arena.hpp"

namespace vlm::isolate {

/** `device` (a CPU) with tensors from `arena`. */
std::shared_ptr<Device> share_tensors(std::shared_ptr<Device> device, std::shared_ptr<SharedArena> arena);

}  // namespace vlm::isolate
