/** @file arena.hpp
 *  Places in one block of memory. While a step is recorded nothing can be taken from the GPU's pool, since what is
 * recorded is done later and again; so its scratch memory comes from a block of its own. Order is that of the stream:
 * a place that has been given back may be taken at once.
 */
#pragma once
#include <cstdint>
#include <map>
#include <optional>

namespace vlm::cuda {

/** First fit over offsets 0 to `bytes`, aligned to 256 bytes. Not thread-safe. */
class Arena {
  public:
    explicit Arena(int64_t bytes = 0);
    int64_t bytes() const { return bytes_; }
    /** Whether nothing is taken. */
    bool idle() const { return taken_.empty(); }
    /** Offset of `bytes` bytes (0 counts as 1); nothing when there is no gap for them. */
    std::optional<int64_t> take(int64_t bytes);
    /** Gives back what take() gave. False when it did not. */
    bool give_back(int64_t offset);

  private:
    int64_t bytes_;
    std::map<int64_t, int64_t> taken_;  ///< Bytes by offset.
};

}  // namespace vlm::cuda
