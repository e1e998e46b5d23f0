/** @file scratch.hpp
 *  Scratch memory of the runs. A transformer asks for the same few sizes in every layer, so freed ranges are kept,
 * joined with their neighbours, and handed out again: after the first layer no call reaches the system, and pages stay
 * mapped. Blocks are cut from large segments, because blocks of their own cannot serve any other size: a layer's sizes
 * together are more than what it needs at one time, and so either memory or page faults would grow. The limit counts
 * what is in use; segments that nothing is in are given back to the system before a limit would be passed.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <set>
#include <utility>

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
    /** Bytes of all segments. */
    int64_t held() const;

  private:
    /** A free range: where, and its bytes. */
    using Ranges = std::map<std::byte*, int64_t>;

    std::byte* cut(int64_t wanted);
    void add_segment(int64_t wanted);
    void keep_range(std::byte* at, int64_t bytes);
    void drop_range(Ranges::iterator range) noexcept;
    void release_segments(int64_t smaller_than, int64_t allowed) noexcept;

    const int64_t limit_;
    mutable std::mutex mutex_;
    std::map<std::byte*, int64_t> segments_;
    Ranges free_;
    std::set<std::pair<int64_t, std::byte*>> free_by_size_;
    int64_t held_ = 0, in_use_ = 0, peak_ = 0;
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
