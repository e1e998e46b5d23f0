/** @file scratch.cpp
 *  See scratch.hpp. Sizes are rounded up so that ranges stay aligned and few: requests that differ by a few rows (a
 * prompt that grows) leave no splinters between them.
 */
#include "host/compute/cpu/scratch.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "host/base/error.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kAlignment = 64;
/** Kernels may read one vector beyond the last element. */
constexpr int64_t kSlack = 64;
/** Of most processors; from two of them on a segment asks for such pages. */
constexpr int64_t kHugePage = int64_t{2} << 20;
constexpr int64_t kSmallestSegment = int64_t{1} << 20;

int64_t rounded_size(int64_t bytes) {
    const int64_t step = bytes < 65536 ? 256 : bytes < (1 << 20) ? 4096 : 65536;
    return (bytes + kSlack + step - 1) / step * step;
}

}  // namespace

int64_t checked_product(int64_t a, int64_t b, int64_t c) {
    int64_t product = 0;
    if (a < 0 || b < 0 || c < 0 || __builtin_mul_overflow(a, b, &product) ||
        __builtin_mul_overflow(product, c, &product))
        throw resource_exhausted("a size overflows: " + std::to_string(a) + " x " + std::to_string(b) + " x " +
                                 std::to_string(c));
    return product;
}

Scratch::~Scratch() {
    for (const auto& [base, size] : segments_) std::free(base);
}

void Scratch::keep_range(std::byte* at, int64_t bytes) {
    // Ranges of two segments stay apart, even where these touch: segments go one by one.
    const auto next = free_.lower_bound(at);
    if (next != free_.end() && at + bytes == next->first && segments_.count(next->first) == 0) {
        bytes += next->second;
        drop_range(next);
    }
    if (const auto after = free_.lower_bound(at); after != free_.begin() && segments_.count(at) == 0)
        if (const auto before = std::prev(after); before->first + before->second == at) {
            at = before->first;
            bytes += before->second;
            drop_range(before);
        }
    free_.emplace(at, bytes);
    free_by_size_.emplace(bytes, at);
}

void Scratch::drop_range(Ranges::iterator range) noexcept {
    free_by_size_.erase({range->second, range->first});
    free_.erase(range);
}

/** From the smallest range that is large enough; nullptr: there is none. */
std::byte* Scratch::cut(int64_t wanted) {
    const auto found = free_by_size_.lower_bound({wanted, nullptr});
    if (found == free_by_size_.end()) return nullptr;
    const auto [size, at] = *found;
    drop_range(free_.find(at));
    if (size > wanted) keep_range(at + wanted, size - wanted);
    return at;
}

/** Gives back segments smaller than `smaller_than` in which nothing is in use, until `allowed` bytes are held. */
void Scratch::release_segments(int64_t smaller_than, int64_t allowed) noexcept {
    for (auto segment = segments_.begin(); segment != segments_.end() && held_ > allowed;) {
        const auto [base, size] = *segment;
        const auto range = free_.find(base);
        if (size >= smaller_than || range == free_.end() || range->second != size) {
            ++segment;
            continue;
        }
        drop_range(range);
        std::free(base);
        held_ -= size;
        segment = segments_.erase(segment);
    }
}

void Scratch::add_segment(int64_t wanted) {
    const bool huge = wanted >= 2 * kHugePage;
    const int64_t alignment = huge ? kHugePage : kAlignment;
    const int64_t size = std::max(kSmallestSegment, (wanted + alignment - 1) / alignment * alignment);
    auto* base = static_cast<std::byte*>(std::aligned_alloc(static_cast<size_t>(alignment), static_cast<size_t>(size)));
    if (base == nullptr)
        throw resource_exhausted("the system has no memory for " + std::to_string(wanted) + " bytes of scratch");
    // Activations of many tokens are read and written in rows far apart; a refusal costs time only.
    if (huge) madvise(base, static_cast<size_t>(size), MADV_HUGEPAGE);
    held_ += size;
    try {
        segments_.emplace(base, size);
        keep_range(base, size);
    } catch (...) {
        segments_.erase(base);
        held_ -= size;
        std::free(base);
        throw resource_exhausted("the system has no memory for " + std::to_string(wanted) + " bytes of scratch");
    }
}

void* Scratch::allocate(int64_t bytes, int64_t* granted) {
    if (bytes < 0 || bytes > (int64_t{1} << 46))
        throw resource_exhausted("scratch memory of " + std::to_string(bytes) + " bytes was asked for");
    const int64_t wanted = rounded_size(std::max<int64_t>(bytes, 1));
    const std::scoped_lock lock(mutex_);
    if (limit_ != 0 && wanted > limit_ - in_use_)
        throw resource_exhausted("scratch memory: " + std::to_string(bytes) + " bytes wanted, " +
                                 std::to_string(in_use_) + " in use, limit " + std::to_string(limit_) +
                                 "; raise the memory limit or send fewer tokens or smaller images");
    std::byte* block = cut(wanted);
    if (block == nullptr) {
        // What was too small now would stay too small; one large segment serves all sizes.
        release_segments(wanted, 0);
        if (limit_ != 0) release_segments(INT64_MAX, std::max<int64_t>(0, limit_ - wanted));
        add_segment(wanted);
        block = cut(wanted);
    }
    in_use_ += wanted;
    peak_ = std::max(peak_, in_use_);
    *granted = wanted;
    return block;
}

void Scratch::free(void* block, int64_t granted) noexcept {
    if (block == nullptr) return;
    const std::scoped_lock lock(mutex_);
    in_use_ -= granted;
    try {
        keep_range(static_cast<std::byte*>(block), granted);
    } catch (...) {
        // No memory for the entry of a list: the range is lost until all segments go.
    }
}

int64_t Scratch::in_use() const {
    const std::scoped_lock lock(mutex_);
    return in_use_;
}

int64_t Scratch::held() const {
    const std::scoped_lock lock(mutex_);
    return held_;
}

int64_t Scratch::peak() const {
    const std::scoped_lock lock(mutex_);
    return peak_;
}

void Scratch::reset_peak() {
    const std::scoped_lock lock(mutex_);
    peak_ = in_use_;
}

}  // namespace vlm::cpu
