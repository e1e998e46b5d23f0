/** @file mapped_file.cpp
 *  POSIX calls and their errors; see the header for why the descriptor is kept.
 */
#include "host/weights/mapped_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>
#include <vector>

#include "host/base/error.hpp"
#include "host/base/sha256.hpp"

namespace vlm {
namespace {

std::string reason() {
    return std::strerror(errno);
}

}  // namespace

MappedFile MappedFile::open(const std::string& path) {
    // O_NONBLOCK: opening a FIFO must not hang; it has no effect on regular files.
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        const std::string message = path + ": cannot be opened: " + reason();
        throw errno == ENOENT || errno == ENOTDIR ? not_found(message) : invalid_argument(message);
    }
    return adopt(fd, path);
}

MappedFile MappedFile::adopt(int fd, std::string name) {
    MappedFile file(fd, std::move(name));
    struct stat info {};
    if (fstat(fd, &info) != 0) throw invalid_argument(file.name_ + ": cannot be examined: " + reason());
    if (!S_ISREG(info.st_mode)) {
        throw invalid_argument(file.name_ + (S_ISDIR(info.st_mode) ? ": is a directory" : ": is not a regular file") +
                               "; expected a weight file");
    }
    file.size_ = static_cast<uint64_t>(info.st_size);
    file.modified_ = info.st_mtim;
    if (file.size_ == 0) return file;
    void* const address = mmap(nullptr, file.size_, PROT_READ, MAP_PRIVATE, fd, 0);
    if (address == MAP_FAILED) {
        throw resource_exhausted(file.name_ + ": " + std::to_string(file.size_) +
                                 " bytes cannot be mapped: " + reason());
    }
    file.data_ = static_cast<const std::byte*>(address);
    return file;
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)),
      name_(std::move(other.name_)),
      size_(std::exchange(other.size_, 0)),
      modified_(other.modified_),
      data_(std::exchange(other.data_, nullptr)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
    if (this == &other) return *this;
    close();
    fd_ = std::exchange(other.fd_, -1);
    name_ = std::move(other.name_);
    size_ = std::exchange(other.size_, 0);
    modified_ = other.modified_;
    data_ = std::exchange(other.data_, nullptr);
    return *this;
}

MappedFile::~MappedFile() {
    close();
}

void MappedFile::close() noexcept {
    if (data_ != nullptr) munmap(const_cast<std::byte*>(data_), size_);
    if (fd_ >= 0) ::close(fd_);
    data_ = nullptr;
    fd_ = -1;
}

void MappedFile::read(uint64_t offset, void* out, uint64_t bytes) const {
    char* to = static_cast<char*>(out);
    while (bytes > 0) {
        const ssize_t got = pread(fd_, to, bytes, static_cast<off_t>(offset));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) throw data_loss(name_ + ": cannot be read: " + reason());
        if (got == 0)
            throw data_loss(name_ + ": ends at byte " + std::to_string(offset) +
                            "; it is shorter than when it was opened");
        to += got;
        offset += static_cast<uint64_t>(got);
        bytes -= static_cast<uint64_t>(got);
    }
}

std::string MappedFile::sha256() const {
    Sha256 hash;
    std::vector<unsigned char> buffer(size_t{1} << 20);
    for (uint64_t offset = 0; offset < size_;) {
        const uint64_t bytes = std::min<uint64_t>(buffer.size(), size_ - offset);
        read(offset, buffer.data(), bytes);
        hash.add(std::span<const unsigned char>(buffer.data(), bytes));
        offset += bytes;
    }
    return hash.hex();
}

void MappedFile::check_unchanged() const {
    struct stat info {};
    if (fstat(fd_, &info) != 0) throw data_loss(name_ + ": cannot be examined: " + reason());
    if (static_cast<uint64_t>(info.st_size) != size_) {
        throw data_loss(name_ + ": has " + std::to_string(info.st_size) + " bytes now and had " +
                        std::to_string(size_) +
                        " when it was opened; replace weight files by renaming, never by writing into them");
    }
    if (info.st_mtim.tv_sec != modified_.tv_sec || info.st_mtim.tv_nsec != modified_.tv_nsec) {
        throw data_loss(name_ + ": was written to since it was opened; replace weight files by renaming");
    }
}

void MappedFile::prefetch(uint64_t offset, uint64_t bytes) const noexcept {
    if (data_ == nullptr || offset >= size_ || bytes == 0) return;
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const uint64_t from = offset / page * page;
    const uint64_t length = std::min(bytes, size_ - offset) + (offset - from);
    madvise(const_cast<std::byte*>(data_) + from, length, MADV_WILLNEED);
}

void MappedFile::release(uint64_t offset, uint64_t bytes) const noexcept {
    if (data_ == nullptr || offset >= size_) return;
    const uint64_t page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    const uint64_t end = offset + std::min(bytes, size_ - offset);
    const uint64_t from = (offset + page - 1) / page * page;
    const uint64_t to = end == size_ ? end : end / page * page;
    if (from < to) madvise(const_cast<std::byte*>(data_) + from, to - from, MADV_DONTNEED);
}

}  // namespace vlm
