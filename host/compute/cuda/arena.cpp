/** @file arena.cpp
 *  See arena.hpp. A step holds some dozen places at once, so walking over them is nothing.
 */
#include "host/compute/cuda/arena.hpp"

namespace vlm::cuda {

namespace {

constexpr int64_t kAlignment = 256;

}  // namespace

Arena::Arena(int64_t bytes) : bytes_(bytes) {}

std::optional<int64_t> Arena::take(int64_t bytes) {
    if (bytes > bytes_) return std::nullopt;
    const int64_t size = bytes > 0 ? (bytes + kAlignment - 1) / kAlignment * kAlignment : kAlignment;
    int64_t gap = 0;
    for (const auto& [offset, taken] : taken_) {
        if (offset - gap >= size) break;
        gap = offset + taken;
    }
    if (bytes_ - gap < size) return std::nullopt;
    taken_[gap] = size;
    return gap;
}

bool Arena::give_back(int64_t offset) {
    return taken_.erase(offset) != 0;
}

}  // namespace vlm::cuda
