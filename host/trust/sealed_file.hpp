/** @file sealed_file.hpp
 *  The bytes of a file, hashed once and then unchangeable.
 *
 *  Checking a file and then opening it by name checks nothing: between the two somebody may put another file in its
 * place, or write into the one that was checked. So the file is opened once, and what is read from that descriptor is
 * hashed and copied into anonymous memory that the kernel seals against writing. What is loaded afterwards is that
 * memory and not the file.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <string>

namespace vlm {

/** A sealed copy in memory. Movable; the descriptor closes with the object. */
class SealedFile {
  public:
    /** Reads all of `path`. Throws NOT_FOUND, INVALID_ARGUMENT (not a regular file), PERMISSION_DENIED,
     * RESOURCE_EXHAUSTED (larger than 1 GiB) or INTERNAL (the kernel offers no sealed memory). */
    static SealedFile read(const std::filesystem::path& path);
    SealedFile(SealedFile&& other) noexcept;
    SealedFile& operator=(SealedFile&& other) noexcept;
    ~SealedFile();

    /** SHA-256 as 64 hex digits. */
    const std::string& sha256() const { return sha256_; }
    uint64_t size() const { return size_; }
    int descriptor() const { return fd_; }
    /** "/proc/self/fd/N": a name for it while the object lives. */
    std::filesystem::path path() const;

  private:
    explicit SealedFile(int fd) : fd_(fd) {}
    int fd_ = -1;
    uint64_t size_ = 0;
    std::string sha256_;
};

/** SHA-256 of a file of any size as 64 hex digits. Throws as SealedFile::read. */
std::string sha256_of_file(const std::filesystem::path& path);

}  // namespace vlm
