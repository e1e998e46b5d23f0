/** @file kv_cache.hpp
 *  Pages of keys and values, the form in which attention reads them whether they are cached or not.
 *
 *  A page holds 64 keys of all heads. Keys of a head are two panels of 32 keys by head_dim; values are panels of 32
 * elements by 64 keys (kernels.hpp). So both products of attention run over memory that is already packed, a cache
 * grows page by page without copying, and forgetting keys frees pages.
 *
 *  A cache may be narrower than what is multiplied: f16 and int8 keep the order of the panels that they are widened to
 * (f32 and bf16), so widening is one pass from front to back. int8 has one scale per token and head; the whole numbers
 * are exact in bf16, and scales are applied to logits and weights, not to elements.
 */
#pragma once
#include <vlm/attention.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "host/compute/cpu/cpu_compute.hpp"
#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/view.hpp"

namespace vlm::cpu {

class State;

/** Keys of one page. */
inline constexpr int64_t kPageKeys = 64;

/** Heads that one thread writes into a page: neighbours in the source. */
inline constexpr int64_t kHeadsAtOnce = 8;

/** Where things lie in a page. Offsets and sizes in elements, unless they say bytes. The elements of a head are
 * followed by its scales in int8: one per key, then one per value. */
struct PageLayout {
    int64_t kv_heads = 0, head_dim = 0, value_dim = 0;
    KvType type = KvType::f32;

    /** Whether neighbours in depth lie together, as products in bf16 want them. */
    bool pairs() const { return type == KvType::bf16 || type == KvType::int8; }
    /** head_dim, padded where pairs lie together. */
    int64_t key_depth() const { return pairs() ? (head_dim + kPairDepth - 1) / kPairDepth * kPairDepth : head_dim; }
    int64_t value_panels() const { return (value_dim + kPanel - 1) / kPanel; }
    int64_t key_elements() const { return key_depth() * kPageKeys; }
    int64_t value_elements() const { return value_panels() * kPanel * kPageKeys; }
    int64_t head_elements() const { return key_elements() + value_elements(); }
    int64_t head_parts() const { return (kv_heads + kHeadsAtOnce - 1) / kHeadsAtOnce; }
    int64_t element_bytes() const { return type == KvType::f32 ? 4 : type == KvType::int8 ? 1 : 2; }
    int64_t key_bytes() const { return key_elements() * element_bytes(); }
    int64_t scale_bytes() const { return type == KvType::int8 ? 2 * kPageKeys * 4 : 0; }
    int64_t head_bytes() const { return head_elements() * element_bytes() + scale_bytes(); }
    int64_t page_bytes() const { return kv_heads * head_bytes(); }
    /** Bytes that one key and its value take, padding left out. */
    int64_t token_bytes() const {
        return kv_heads * ((head_dim + value_dim) * element_bytes() + scale_bytes() / kPageKeys);
    }
    /** The scales of a head whose memory begins at `head`: of keys, behind them of values. */
    float* scales(std::byte* head) const { return reinterpret_cast<float*>(head + head_elements() * element_bytes()); }
    const float* scales(const std::byte* head) const {
        return reinterpret_cast<const float*>(head + head_elements() * element_bytes());
    }

    /** Element `d` of key `slot`, relative to the head's keys. */
    int64_t key_index(int64_t slot, int64_t d) const {
        const int64_t panel = slot / kPanel * key_depth() * kPanel, column = slot % kPanel;
        return panel + (pairs() ? d / 2 * 2 * kPanel + 2 * column + d % 2 : d * kPanel + column);
    }
    /** Element `d` of value `slot`, relative to the head's values. */
    int64_t value_index(int64_t slot, int64_t d) const {
        const int64_t panel = d / kPanel * kPageKeys * kPanel, column = d % kPanel;
        return panel + (pairs() ? slot / 2 * 2 * kPanel + 2 * column + slot % 2 : slot * kPanel + column);
    }
};

/** Writes keys [first, first + count) of `k` and `v` (`[n, kv_heads, dim]`, any strides) to slots [slot, …) of a page,
 * for heads [head, head_end). */
void write_page(const PageLayout& layout, const View& k, const View& v, int64_t first, int64_t count, int64_t slot,
                int64_t head, int64_t head_end, std::byte* page);
/** Reads one key or value into f32. `head` is where the head's memory begins. */
void read_key(const PageLayout& layout, const std::byte* head, int64_t slot, float* key);
void read_value(const PageLayout& layout, const std::byte* head, int64_t slot, float* value);
/** Writes one key or value. A row with NaN or an infinity gets a scale of NaN in int8, so that it is not lost. */
void store_key(const PageLayout& layout, const float* key, int64_t slot, std::byte* head);
void store_value(const PageLayout& layout, const float* value, int64_t slot, std::byte* head);

/** The pages of one layer of a cache. */
class LayerCache {
  public:
    int64_t length() const { return length_; }
    const PageLayout& layout() const { return layout_; }
    const std::vector<std::byte*>& pages() const { return pages_; }

    /** Sets the shape at the first append. */
    void set_layout(const PageLayout& layout) { layout_ = layout; }
    /** Makes room for `keys` keys. @throws Error RESOURCE_EXHAUSTED when the system has no memory. */
    void reserve(State& state, int64_t keys);
    /** Writes `k` and `v` behind what is there; reserve() has been called. */
    void append(State& state, const View& k, const View& v);
    /** Forgets keys from `length` on and frees their pages. */
    void truncate(State& state, int64_t length);
    int64_t bytes() const { return length_ * layout_.token_bytes(); }

  private:
    PageLayout layout_;
    int64_t length_ = 0;
    std::vector<std::byte*> pages_;
};

}  // namespace vlm::cpu

/** The ABI's handle. */
struct vlm_kv_cache {
    int32_t kv_heads = 0, head_dim = 0;
    int64_t capacity = 0;
    vlm::KvType type = vlm::KvType::f32;
    std::vector<vlm::cpu::LayerCache> layers;
};
