/** @file table.hpp
 *  The functions of the table, each in the file of its operation. Documented in abi/vlm/compute.h.
 */
#pragma once
#include <vlm/compute.h>

#include <type_traits>

namespace vlm::cpu {
#include "host/compute/operations_inl.hpp"
}  // namespace vlm::cpu
