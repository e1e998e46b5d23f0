/** @file filter.hpp
 *  What the process of an isolated plugin may ask of the kernel: a list of what computing needs, and nothing else.
 *
 *  A list of what is allowed and not of what is forbidden: a kernel gets new calls every year. Two steps, each for all
 * threads and for good. Before any code of the plugin runs, everything is closed but reading files (its library has
 * dependencies, `create` and `load` read weights and tables). After `load`, opening files is closed too. Whoever tries
 * something else is stopped by SIGSYS; the handler notes which call it was and ends the process.
 */
#pragma once
#include <atomic>
#include <cstdint>
#include <string>

namespace vlm::isolate {

/** A page that host and process share beside the channel. */
struct StatusPage {
    std::atomic<uint32_t> cancelled;        ///< Written by the host: the call should end.
    std::atomic<uint32_t> violation;        ///< Written by the process: number of the refused system call, plus one.
    std::atomic<uint32_t> short_of_memory;  ///< Written by the process: it has asked for more than it may take.
};

/** Denies this thread, and those that it starts, a look into other processes: until `load` the plugin reads files, and
 * `/proc/PID/mem` is one. Uses Landlock; does nothing where the kernel has none. */
void separate_from_other_processes();

/** The two steps. */
enum class FilterStep { loading, running };

/** Notes refused calls on `page`, which must live as long as the process, and ends the process then. */
void report_violations_to(StatusPage& page);

/** Closes everything that the step does not allow, for all threads of this process and for good. @throws Error
 * UNAVAILABLE when the kernel has no seccomp filters. */
void install_filter(FilterStep step);

/** "openat", or "number 400". */
std::string system_call_name(uint32_t number);

}  // namespace vlm::isolate
