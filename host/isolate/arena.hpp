/** @file arena.hpp
 *  Memory that the host and the processes of isolated plugins share, so that a tensor never has to be sent.
 *
 *  One anonymous file per pipeline (memfd), mapped once on each side. The host allocates every tensor of the pipeline
 * in it; a call then names a tensor by its place in the file. The file is far larger than any pipeline needs: pages
 * take memory when they are touched, and what is freed in large pieces is given back. Its size is sealed, because a
 * process that could shrink it would take the ground from under the host. What is allocated is known to the host alone.
 * In front of and behind every tensor lie some bytes that nobody may write: a plugin that writes past the end of its
 * tensor hits these first, and is found out after the call.
 */
#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "host/base/tensor.hpp"

namespace vlm::isolate {

/** A file descriptor that closes itself. */
class Descriptor {
  public:
    explicit Descriptor(int fd = -1) : fd_(fd) {}
    ~Descriptor() { reset(); }
    Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
    Descriptor& operator=(Descriptor&& other) noexcept;
    int get() const { return fd_; }
    int release();
    void reset();

  private:
    int fd_;
};

/** A range of shared memory, mapped to be read and written. */
class SharedMapping {
  public:
    /** Makes an anonymous file of `bytes` whose size cannot change. @throws Error RESOURCE_EXHAUSTED. */
    static SharedMapping create(const char* name, uint64_t bytes);
    /** Maps a file that another process made. @throws Error RESOURCE_EXHAUSTED, or INVALID_ARGUMENT when it is shorter
     * than `bytes`. */
    static SharedMapping open(Descriptor file, uint64_t bytes);
    SharedMapping(SharedMapping&& other) noexcept;
    SharedMapping& operator=(SharedMapping&&) = delete;
    ~SharedMapping();

    std::byte* data() const { return data_; }
    uint64_t size() const { return size_; }
    int descriptor() const { return file_.get(); }

  private:
    SharedMapping(Descriptor file, uint64_t bytes);
    Descriptor file_;
    std::byte* data_ = nullptr;
    uint64_t size_ = 0;
};

/** What calls into other processes have cost, for measurements and tests. */
struct CallCounters {
    std::atomic<uint64_t> calls{0};
    std::atomic<uint64_t> copied_bytes{0};  ///< Of tensors and pictures that did not lie in the arena.
};

/** The host's side: allocates. Thread-safe. */
class SharedArena : public std::enable_shared_from_this<SharedArena> {
  public:
    /** Room for four times the machine's memory, at least 4 GiB; nothing is taken before it is used. */
    static std::shared_ptr<SharedArena> create();

    /** Zeroed memory, aligned to 64 bytes; keeps the arena alive. @throws Error RESOURCE_EXHAUSTED. */
    std::shared_ptr<void> allocate(int64_t bytes);
    /** Whether the bytes around the tensor at `place`, or around the one that `place` lies in, are as they were made;
     * makes them so again. */
    bool mend_guards(uint64_t place);
    /** Place of `bytes` bytes at `memory`, or nothing when they do not lie in the arena. */
    std::optional<uint64_t> place_of(const void* memory, uint64_t bytes) const;

    /** Allocates tensors on the CPU. */
    const Allocator& allocator() const { return allocator_; }
    const SharedMapping& mapping() const { return mapping_; }
    CallCounters& counters() { return counters_; }
    /** Bytes that are allocated now. */
    uint64_t in_use() const;

  private:
    explicit SharedArena(SharedMapping mapping);
    void free(uint64_t place, uint64_t bytes);
    void write_guards(uint64_t place, uint64_t bytes) const;

    SharedMapping mapping_;
    Allocator allocator_;
    CallCounters counters_;
    mutable std::mutex mutex_;
    uint64_t end_ = 0;  ///< Never used before from here on: zero.
    uint64_t in_use_ = 0;
    uint64_t kept_bytes_ = 0;  ///< In freed pieces whose pages were not given back.
    struct Piece {
        uint64_t place;
        bool clean;  ///< Its pages were given back: it reads as zero.
    };
    std::map<uint64_t, std::vector<Piece>> freed_;  ///< By size, with guards.
    std::map<uint64_t, uint64_t> tensors_;          ///< Place and size of every tensor that is allocated now.
};

}  // namespace vlm::isolate
