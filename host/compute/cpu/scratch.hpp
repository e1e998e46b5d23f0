/** @file scratch.hpp
 *  Scratch memory of the runs. A transformer asks for the same few sizes in every layer, so freed blocks are kept and
 * handed out again: after the first layer no call reaches the system, and pages stay mapped. The limit counts what is
 * in use; kept blocks are given back to the system before a limit would be passed.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

namespace vlm::cpu {

/** Blocks of memory, aligned to 64 bytes. Thread-safe. */
class Scratch {
  public:
    /** `limit` in bytes, 0 for none. */
    explicit Scratch(int64_t limit) : limit_(limit) {}
    ~Scratch();
    Scratch(const Scratch&) = delete;
    Scratch& operator=(const Scratch&) = delete;

    /** A block of at least `bytes`; writes its true size to `*granted`, which `free` wants back.
     *  @throws Error RESOURCE_EXHAUSTED beyond the limit or when the system has no memory. */
    void* allocate(int64_t bytes, int64_t* granted);
    void free(void* block, int64_t granted) noexcept;

    int64_t in_use() const;
    int64_t peak() const;
    void reset_peak();

  private:
    void trim(int64_t allowed_cache) noexcept;

    const int64_t limit_;
    mutable std::mutex mutex_;
    std::multimap<int64_t, void*> cached_;
    int64_t cached_bytes_ = 0, in_use_ = 0, peak_ = 0;
};

/** A block for the time of one operation. */
class ScratchBuffer {
  public:
    ScratchBuffer(Scratch& scratch, int64_t bytes) : scratch_(scratch), data_(scratch.allocate(bytes, &granted_)) {}
    ~ScratchBuffer() { scratch_.free(data_, granted_); }
    ScratchBuffer(const ScratchBuffer&) = delete;
    ScratchBuffer& operator=(const ScratchBuffer&) = delete;

    template <class T>
    T* as() const {
        return static_cast<T*>(data_);
    }

  private:
    Scratch& scratch_;
    int64_t granted_ = 0;
    void* data_;
};

/** `a * b * c` for sizes in bytes or elements.
 *  @throws Error RESOURCE_EXHAUSTED when the product overflows. */
int64_t checked_product(int64_t a, int64_t b, int64_t c = 1);

}  // namespace vlm::cpu
