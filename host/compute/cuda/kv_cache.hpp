/** @file kv_cache.hpp
 *  The key/value cache: pages of 64 keys per layer, taken when keys arrive, and a table of their addresses on the GPU.
 */
#pragma once
#include <vlm/attention.h>

#include <vector>

#include "host/compute/cuda/attention_kernels.hpp"
#include "host/compute/cuda/state.hpp"

namespace vlm::cuda {

/** The pages of one layer. */
class LayerCache {
  public:
    int64_t length() const { return length_; }
    int64_t value_dim() const { return value_dim_; }
    void* const* table() const { return static_cast<void* const*>(table_); }
    int64_t bytes(const State& state, int64_t kv_heads, int64_t head_dim) const;

    /** Makes room for `keys` keys of `page_bytes` per page and brings the table up to date, before anything that is
     * being recorded on the queue.
     *  @throws Error RESOURCE_EXHAUSTED. */
    void reserve(State& state, const Queue& step, int64_t keys, int64_t page_bytes);
    /** Counts keys that have been written. */
    void grow(int64_t keys, int64_t value_dim) {
        length_ += keys;
        value_dim_ = value_dim;
    }
    /** Forgets keys from `length` on and frees their pages, in the order of the stream. */
    void truncate(State& state, const Queue& queue, int64_t length);

  private:
    int64_t length_ = 0, value_dim_ = 0, page_bytes_ = 0;
    std::vector<void*> pages_;
    void* table_ = nullptr;
    int64_t table_pages_ = 0;  ///< Room of the table.
};

/** What a `vlm_kv_cache` of this device is. */
struct Cache {
    int64_t kv_heads = 0, head_dim = 0, capacity = 0;
    std::vector<LayerCache> layers;
};

inline Cache* cache_of(vlm_kv_cache* handle) {
    return reinterpret_cast<Cache*>(handle);
}
inline const Cache* cache_of(const vlm_kv_cache* handle) {
    return reinterpret_cast<const Cache*>(handle);
}

}  // namespace vlm::cuda
