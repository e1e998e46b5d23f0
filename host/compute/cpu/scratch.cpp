/** @file scratch.cpp
 *  See scratch.hpp. Sizes are rounded up so that requests that differ by a few rows (a prompt that grows) find the same
 * block.
 */
#include "host/compute/cpu/scratch.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>

#include "host/base/error.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kAlignment = 64;
/** Kernels may read one vector beyond the last element. */
constexpr int64_t kSlack = 64;

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
    trim(0);
}

void Scratch::trim(int64_t allowed_cache) noexcept {
    while (cached_bytes_ > allowed_cache && !cached_.empty()) {
        const auto largest = std::prev(cached_.end());
        cached_bytes_ -= largest->first;
        std::free(largest->second);
        cached_.erase(largest);
    }
}

void* Scratch::allocate(int64_t bytes, int64_t* granted) {
    if (bytes < 0 || bytes > (int64_t{1} << 46))
        throw resource_exhausted("scratch memory of " + std::to_string(bytes) + " bytes was asked for");
    const int64_t wanted = rounded_size(std::max<int64_t>(bytes, 1));
    const std::scoped_lock lock(mutex_);
    const auto found = cached_.lower_bound(wanted);
    void* block = nullptr;
    int64_t size = wanted;
    const bool reuse = found != cached_.end() && found->first <= wanted + wanted / 4 + 4096 &&
                       (limit_ == 0 || in_use_ + found->first <= limit_);
    if (reuse) {
        size = found->first;
        block = found->second;
        cached_.erase(found);
        cached_bytes_ -= size;
    } else {
        if (limit_ != 0 && wanted > limit_ - in_use_)
            throw resource_exhausted("scratch memory: " + std::to_string(bytes) + " bytes wanted, " +
                                     std::to_string(in_use_) + " in use, limit " + std::to_string(limit_) +
                                     "; raise the memory limit or send fewer tokens or smaller images");
        if (limit_ != 0) trim(std::max<int64_t>(0, limit_ - in_use_ - wanted));
        block = std::aligned_alloc(kAlignment, static_cast<size_t>(size));
        if (block == nullptr) {
            trim(0);
            block = std::aligned_alloc(kAlignment, static_cast<size_t>(size));
        }
        if (block == nullptr)
            throw resource_exhausted("the system has no memory for " + std::to_string(bytes) + " bytes of scratch");
    }
    in_use_ += size;
    peak_ = std::max(peak_, in_use_);
    *granted = size;
    return block;
}

void Scratch::free(void* block, int64_t granted) noexcept {
    if (block == nullptr) return;
    const std::scoped_lock lock(mutex_);
    in_use_ -= granted;
    try {
        cached_.emplace(granted, block);
        cached_bytes_ += granted;
    } catch (...) {
        std::free(block);
    }
    // What is kept never exceeds what was once needed at the same time.
    trim(peak_);
}

int64_t Scratch::in_use() const {
    const std::scoped_lock lock(mutex_);
    return in_use_;
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
