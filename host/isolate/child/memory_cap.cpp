/** @file memory_cap.cpp
 *  See memory_cap.hpp. The kernel counts what RLIMIT_DATA limits when memory is mapped and not when it is touched, so a
 * request fails in an orderly way (NULL, std::bad_alloc) and nobody is killed. It cannot say afterwards that it refused
 * one. Therefore the functions that C and C++ code get memory from are replaced in this program by ones that pass every
 * request on to the C library and look at the answer.
 */
#include "host/isolate/child/memory_cap.hpp"

#include <sys/resource.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <string>

#include "host/base/error.hpp"

namespace vlm::isolate {
namespace {

std::atomic<StatusPage*> told{nullptr};

/** Bytes of private, writable memory that this process has, as RLIMIT_DATA counts them. */
uint64_t private_memory() {
    std::ifstream status("/proc/self/status");
    for (std::string word; status >> word;)
        if (uint64_t kilobytes = 0; word == "VmData:" && status >> kilobytes) return kilobytes * 1024;
    throw Error(VLM_STATUS_UNAVAILABLE, "/proc/self/status does not say how much memory this process has (VmData)");
}

}  // namespace

void cap_memory(uint64_t bytes, StatusPage& page) {
    if (bytes == 0) return;
    const rlim_t most = private_memory() + bytes;
    const rlimit limit{most, most};
    if (setrlimit(RLIMIT_DATA, &limit) != 0)
        throw Error(VLM_STATUS_UNAVAILABLE,
                    std::string("the memory of a plugin's process cannot be limited: ") + std::strerror(errno));
    told = &page;
}

namespace {

/** Passes `memory` on. */
[[maybe_unused]] void* noted(void* memory) {
    if (memory == nullptr)
        if (StatusPage* const page = told.load(std::memory_order_relaxed); page != nullptr) page->short_of_memory = 1;
    return memory;
}

}  // namespace
}  // namespace vlm::isolate

// Sanitizers replace these functions themselves, and other C libraries have no second name for them.
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define VLM_OWN_ALLOCATOR 1
#endif
#endif
#if defined(__GLIBC__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) && !defined(VLM_OWN_ALLOCATOR)
// These are the C library's names, and its own names for parameters are not for programs.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name)
#pragma GCC visibility push(default)  // for the libraries that this program opens
extern "C" {
void* __libc_malloc(size_t size);
void* __libc_calloc(size_t count, size_t size);
void* __libc_realloc(void* memory, size_t size);
void* __libc_memalign(size_t alignment, size_t size);

void* malloc(size_t size) noexcept {
    return vlm::isolate::noted(__libc_malloc(size));
}
void* calloc(size_t count, size_t size) noexcept {
    return vlm::isolate::noted(__libc_calloc(count, size));
}
void* realloc(void* memory, size_t size) noexcept {
    void* const moved = __libc_realloc(memory, size);
    return size > 0 ? vlm::isolate::noted(moved) : moved;
}
void* aligned_alloc(size_t alignment, size_t size) noexcept {
    return vlm::isolate::noted(__libc_memalign(alignment, size));
}
void* memalign(size_t alignment, size_t size) noexcept {
    return vlm::isolate::noted(__libc_memalign(alignment, size));
}
int posix_memalign(void** memory, size_t alignment, size_t size) noexcept {
    if (alignment % sizeof(void*) != 0 || (alignment & (alignment - 1)) != 0 || alignment == 0) return EINVAL;
    void* const found = vlm::isolate::noted(__libc_memalign(alignment, size));
    if (found == nullptr) return ENOMEM;
    *memory = found;
    return 0;
}
}
#pragma GCC visibility pop
// NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name)
#endif
