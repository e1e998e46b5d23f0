/** @file arena.cpp
 *  See arena.hpp.
 */
#include "host/isolate/arena.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "host/base/error.hpp"

namespace vlm::isolate {
namespace {

constexpr uint64_t kAlignment = 64;
constexpr uint64_t kGuard = 64;  // at each end
constexpr int kGuardByte = 0xD7;
constexpr uint64_t kLarge = uint64_t{1} << 20;      // pieces from here on are worth giving back
constexpr uint64_t kMostKept = uint64_t{64} << 20;  // freed memory that is kept for the next request
constexpr uint64_t kLeastRoom = uint64_t{4} << 30;

/** Sizes in steps of an eighth of their power of two, so that pieces are found again by slightly other shapes. */
uint64_t rounded_size(uint64_t bytes) {
    const uint64_t least = std::max<uint64_t>(bytes, kAlignment);
    const uint64_t step = std::max<uint64_t>(std::bit_floor(least) / 8, kAlignment);
    return (least + step - 1) / step * step;
}

Error no_memory(const std::string& what) {
    return resource_exhausted(what + ": " + std::strerror(errno));
}

}  // namespace

Descriptor& Descriptor::operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
}

int Descriptor::release() {
    return std::exchange(fd_, -1);
}

void Descriptor::reset() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
}

SharedMapping::SharedMapping(Descriptor file, uint64_t bytes) : file_(std::move(file)), size_(bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, file_.get(), 0);
    if (memory == MAP_FAILED) throw no_memory("memory shared with a plugin's process cannot be mapped");
    data_ = static_cast<std::byte*>(memory);
}

SharedMapping SharedMapping::create(const char* name, uint64_t bytes) {
    Descriptor file(memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
    if (file.get() < 0 || ftruncate(file.get(), static_cast<off_t>(bytes)) != 0 ||
        fcntl(file.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
        throw no_memory("no memory to share with a plugin's process");
    return {std::move(file), bytes};
}

SharedMapping SharedMapping::open(Descriptor file, uint64_t bytes) {
    struct stat info {};
    if (fstat(file.get(), &info) != 0 || static_cast<uint64_t>(info.st_size) < bytes)
        throw invalid_argument("shared memory is shorter than " + std::to_string(bytes) + " bytes");
    return {std::move(file), bytes};
}

SharedMapping::SharedMapping(SharedMapping&& other) noexcept
    : file_(std::move(other.file_)), data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}

SharedMapping::~SharedMapping() {
    if (data_ != nullptr) munmap(data_, size_);
}

SharedArena::SharedArena(SharedMapping mapping) : mapping_(std::move(mapping)) {
    allocator_.device = {VLM_DEVICE_CPU, 0};
    allocator_.allocate = [this](int64_t bytes) { return allocate(bytes); };
}

std::shared_ptr<SharedArena> SharedArena::create() {
    const auto memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    return std::shared_ptr<SharedArena>(
        new SharedArena(SharedMapping::create("vlm tensors", std::max(4 * memory, kLeastRoom))));
}

std::shared_ptr<void> SharedArena::allocate(int64_t bytes) {
    const uint64_t room = mapping_.size();
    if (bytes < 0 || static_cast<uint64_t>(bytes) > room / 2)
        throw resource_exhausted("no shared memory for a tensor of " + std::to_string(bytes) + " bytes");
    const auto wanted = static_cast<uint64_t>(bytes);
    const uint64_t size = rounded_size(wanted + 2 * kGuard);
    Piece piece{0, true};
    {
        const std::scoped_lock lock(mutex_);
        auto& same = freed_[size];
        if (!same.empty()) {
            piece = same.back();
            same.pop_back();
            if (!piece.clean) kept_bytes_ -= size;
        } else {
            if (size > room - end_)
                throw resource_exhausted("no shared memory for a tensor of " + std::to_string(bytes) +
                                         " bytes: " + std::to_string(in_use_) + " are in use");
            piece.place = std::exchange(end_, end_ + size);
        }
        in_use_ += size;
        tensors_[piece.place + kGuard] = wanted;
    }
    std::byte* const memory = mapping_.data() + piece.place;
    if (!piece.clean) std::memset(memory, 0, size);
    write_guards(piece.place + kGuard, wanted);
    return {memory + kGuard,
            [arena = shared_from_this(), place = piece.place, size](void*) { arena->free(place, size); }};
}

void SharedArena::write_guards(uint64_t place, uint64_t bytes) const {
    std::memset(mapping_.data() + place - kGuard, kGuardByte, kGuard);
    std::memset(mapping_.data() + place + bytes, kGuardByte, kGuard);
}

bool SharedArena::mend_guards(uint64_t place) {
    const std::scoped_lock lock(mutex_);
    auto tensor = tensors_.upper_bound(place);
    if (tensor == tensors_.begin()) return true;
    --tensor;
    const auto [begin, bytes] = *tensor;
    std::array<std::byte, kGuard> expected;
    expected.fill(std::byte{kGuardByte});
    if (std::memcmp(mapping_.data() + begin - kGuard, expected.data(), kGuard) == 0 &&
        std::memcmp(mapping_.data() + begin + bytes, expected.data(), kGuard) == 0)
        return true;
    write_guards(begin, bytes);
    return false;
}

void SharedArena::free(uint64_t place, uint64_t bytes) {
    const std::scoped_lock lock(mutex_);
    in_use_ -= bytes;
    tensors_.erase(place + kGuard);
    Piece piece{place, false};
    if (bytes >= kLarge && kept_bytes_ + bytes > kMostKept) {
        // Whole pages only: those at the ends may be shared with neighbours, and are cleared by hand.
        const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
        const uint64_t begin = (place + page - 1) / page * page, end = (place + bytes) / page * page;
        std::byte* const memory = mapping_.data();
        if (fallocate(mapping_.descriptor(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(begin),
                      static_cast<off_t>(end - begin)) == 0) {
            std::memset(memory + place, 0, begin - place);
            std::memset(memory + end, 0, place + bytes - end);
            piece.clean = true;
        }
    }
    if (!piece.clean) kept_bytes_ += bytes;
    freed_[bytes].push_back(piece);
}

std::optional<uint64_t> SharedArena::place_of(const void* memory, uint64_t bytes) const {
    const auto address = reinterpret_cast<uintptr_t>(memory);
    const auto begin = reinterpret_cast<uintptr_t>(mapping_.data());
    if (address < begin || address - begin > mapping_.size() || bytes > mapping_.size() - (address - begin))
        return std::nullopt;
    return address - begin;
}

uint64_t SharedArena::in_use() const {
    const std::scoped_lock lock(mutex_);
    return in_use_;
}

}  // namespace vlm::isolate
