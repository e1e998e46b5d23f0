/** @file memory_limit.hpp
 *  How much memory this process may still take. A container's limit ends a process without a word, and so does the
 * kernel on a full machine, so whoever is about to take gigabytes asks here first.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace vlm {

/** A limit and where it is from. */
struct MemoryLimit {
    int64_t bytes = INT64_MAX;  ///< That may still be taken; INT64_MAX: nothing limits it.
    std::string source;         ///< "MemAvailable of /proc/meminfo", …; empty: none.
};

/** The least of what the machine has available, the control groups (version 1 and 2, up to the root) leave and
 * RLIMIT_AS leaves. Page cache that can be given back counts as free. Files that cannot be read limit nothing.
 *  @param root  Where `proc` and `sys` lie; another folder is for tests. */
MemoryLimit available_memory(const std::filesystem::path& root = "/");

}  // namespace vlm
