/** @file mapped_file.hpp
 *  A weight file: opened once, so that what was checked (size, SHA-256, signature) is what is mapped and read, even if
 * the name is pointed elsewhere meanwhile.
 *
 *  **Truncation.** The mapping is private and read-only, but the pages of a file are not copied before they are
 * touched. If someone shortens the file while it is mapped, touching a lost page raises SIGBUS, and no check in this
 * process can exclude that: replace a checkpoint by renaming a new file over it, never by writing into it.
 * check_unchanged() finds such a change early and is cheap enough to be called before each long pass over the weights.
 */
#pragma once
#include <sys/stat.h>

#include <cstddef>
#include <cstdint>
#include <string>

namespace vlm {

/** A read-only mapping of a whole file together with its descriptor. Movable. */
class MappedFile {
  public:
    /** Opens and maps. @throws Error NOT_FOUND, INVALID_ARGUMENT (no regular file), RESOURCE_EXHAUSTED (no address
     * space). */
    static MappedFile open(const std::string& path);

    /** Maps a file that is open already and takes the descriptor over (it is closed also when this throws). `name` is
     * what messages call it. */
    static MappedFile adopt(int fd, std::string name);

    MappedFile(MappedFile&& other) noexcept;
    MappedFile& operator=(MappedFile&& other) noexcept;
    MappedFile(const MappedFile&) = delete;
    MappedFile& operator=(const MappedFile&) = delete;
    ~MappedFile();

    const std::string& name() const noexcept { return name_; }
    /** The descriptor; stays this object's. */
    int fd() const noexcept { return fd_; }
    uint64_t size() const noexcept { return size_; }
    /** Start of the mapping, page-aligned; NULL for an empty file. */
    const std::byte* data() const noexcept { return data_; }

    /** Copies bytes by read(), which reports a truncated file as an error instead of a signal.
     *  @throws Error DATA_LOSS when the file has become shorter or cannot be read. */
    void read(uint64_t offset, void* out, uint64_t bytes) const;

    /** SHA-256 of the whole file in lower-case hexadecimal, streamed through the descriptor. @throws Error as read. */
    std::string sha256() const;

    /** @throws Error DATA_LOSS when size or modification time are not what they were when the file was opened. */
    void check_unchanged() const;

    /** Asks the kernel to read these bytes in the background. Only a hint. */
    void prefetch(uint64_t offset, uint64_t bytes) const noexcept;

    /** Gives back the memory of these bytes (whole pages within); they are read from the file again when touched. */
    void release(uint64_t offset, uint64_t bytes) const noexcept;

  private:
    MappedFile(int fd, std::string name) : fd_(fd), name_(std::move(name)) {}
    void close() noexcept;

    int fd_ = -1;
    std::string name_;
    uint64_t size_ = 0;
    struct timespec modified_ {};
    const std::byte* data_ = nullptr;
};

}  // namespace vlm
