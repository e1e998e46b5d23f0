/** @file sealed_file.cpp
 *  See sealed_file.hpp.
 */
#include "host/trust/sealed_file.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "host/base/error.hpp"
#include "host/base/sha256.hpp"

namespace vlm {
namespace {

constexpr uint64_t kLargestLibrary = uint64_t{1} << 30;
constexpr size_t kPiece = size_t{1} << 20;

int open_to_read(const std::filesystem::path& path) {
    // O_NONBLOCK: the name may have become a pipe, and opening one would wait for a writer.
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        throw Error(errno == ENOENT ? VLM_STATUS_NOT_FOUND : VLM_STATUS_PERMISSION_DENIED,
                    path.string() + ": cannot be opened: " + std::strerror(errno));
    struct stat info {};
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) return fd;
    close(fd);
    throw invalid_argument(path.string() + ": is not a regular file");
}

/** Reads `path` to its end, hashes it and shows each piece. */
std::string hash(const std::filesystem::path& path, const std::function<void(const char* bytes, size_t size)>& piece) {
    const int fd = open_to_read(path);
    Sha256 state;
    std::vector<char> buffer(kPiece);
    try {
        while (true) {
            const ssize_t got = ::read(fd, buffer.data(), buffer.size());
            if (got < 0 && errno == EINTR) continue;
            if (got < 0) throw data_loss(path.string() + ": cannot be read: " + std::strerror(errno));
            if (got == 0) break;
            state.add(std::string_view(buffer.data(), static_cast<size_t>(got)));
            piece(buffer.data(), static_cast<size_t>(got));
        }
    } catch (...) {
        close(fd);
        throw;
    }
    close(fd);
    return state.hex();
}

void write_all(int fd, const char* bytes, size_t size) {
    while (size > 0) {
        const ssize_t put = write(fd, bytes, size);
        if (put < 0 && errno == EINTR) continue;
        if (put <= 0) throw resource_exhausted(std::string("no memory for a sealed copy: ") + std::strerror(errno));
        bytes += put;
        size -= static_cast<size_t>(put);
    }
}

}  // namespace

SealedFile SealedFile::read(const std::filesystem::path& path) {
    SealedFile file(memfd_create(path.filename().c_str(), MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file.fd_ < 0)
        throw Error(VLM_STATUS_INTERNAL, std::string("no anonymous memory for a sealed copy: ") + std::strerror(errno));
    file.sha256_ = hash(path, [&](const char* bytes, size_t size) {
        file.size_ += size;
        if (file.size_ > kLargestLibrary)
            throw resource_exhausted(path.string() + ": is larger than 1 GiB, too large for a plugin library");
        write_all(file.fd_, bytes, size);
    });
    if (fcntl(file.fd_, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0)
        throw Error(VLM_STATUS_INTERNAL, std::string("the sealed copy cannot be sealed: ") + std::strerror(errno));
    return file;
}

SealedFile::SealedFile(SealedFile&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), size_(other.size_), sha256_(std::move(other.sha256_)) {}

SealedFile& SealedFile::operator=(SealedFile&& other) noexcept {
    std::swap(fd_, other.fd_);
    std::swap(size_, other.size_);
    std::swap(sha256_, other.sha256_);
    return *this;
}

SealedFile::~SealedFile() {
    if (fd_ >= 0) close(fd_);
}

std::filesystem::path SealedFile::path() const {
    return "/proc/self/fd/" + std::to_string(fd_);
}

std::string sha256_of_file(const std::filesystem::path& path) {
    return hash(path, [](const char*, size_t) {});
}

}  // namespace vlm
