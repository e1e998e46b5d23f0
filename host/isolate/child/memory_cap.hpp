/** @file memory_cap.hpp
 *  How much memory the process of an isolated plugin may take.
 */
#pragma once
#include <cstdint>

#include "host/isolate/filter.hpp"

namespace vlm::isolate {

/** From now on this process gets no more than `bytes` of private, writable memory beyond what it has; 0: no limit. What
 * the plugin's code asks `malloc` and its kin for and does not get is noted on `page`, so that the host can tell a
 * crash over it from others. Pages of files and the tensors of the pipeline do not count. Cannot be lifted by this
 * process, since its filter lets it set no limits. @throws Error UNAVAILABLE. */
void cap_memory(uint64_t bytes, StatusPage& page);

}  // namespace vlm::isolate
