/** @file kv_cache.cpp
 *  The key/value cache: pages that are taken from the system when keys arrive and given back when they are forgotten.
 *
 *  Pages come zeroed and are zeroed again where keys were forgotten, because the product with the values runs over
 * whole pages: a weight of 0 times a stale infinity would be NaN.
 */
#include "host/compute/cpu/kv_cache.hpp"

#include <algorithm>
#include <cstring>

#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"

namespace vlm::cpu {

void LayerCache::reserve(State& state, int64_t keys) {
    const auto pages = static_cast<size_t>((keys + kPageKeys - 1) / kPageKeys);
    const int64_t bytes = layout_.page_bytes();
    pages_.reserve(pages);
    while (pages_.size() < pages) {
        const auto rounded = static_cast<size_t>((bytes + 63) / 64 * 64);
        void* page = std::aligned_alloc(64, rounded);
        if (page == nullptr)
            throw resource_exhausted("the system has no memory for a page of keys and values (" +
                                     std::to_string(bytes) + " bytes)");
        std::memset(page, 0, rounded);
        pages_.push_back(static_cast<std::byte*>(page));
        state.kv_bytes += bytes;
    }
}

void LayerCache::append(State& state, const View& k, const View& v) {
    const int64_t count = k.shape[0], begin = length_;
    const int64_t first_page = begin / kPageKeys, pages = (begin + count + kPageKeys - 1) / kPageKeys - first_page;
    const int64_t parts = layout_.head_parts();
    const auto write = [&](int64_t item) {
        const int64_t page = first_page + item / parts, head = item % parts * kHeadsAtOnce;
        const int64_t from = std::max(begin, page * kPageKeys), to = std::min(begin + count, (page + 1) * kPageKeys);
        write_page(layout_, k, v, from - begin, to - from, from - page * kPageKeys, head,
                   std::min(head + kHeadsAtOnce, layout_.kv_heads), pages_[static_cast<size_t>(page)]);
    };
    const int64_t grain = count <= 8 ? pages * parts : 1;
    state.pool.parallel_for(0, pages * parts, grain, [&](int64_t b, int64_t e) {
        for (int64_t item = b; item < e; ++item) write(item);
    });
    length_ += count;
}

void LayerCache::truncate(State& state, int64_t length) {
    if (length >= length_ && static_cast<int64_t>(pages_.size()) * kPageKeys < length_ + kPageKeys) return;
    const auto pages = static_cast<size_t>((length + kPageKeys - 1) / kPageKeys);
    while (pages_.size() > pages) {
        std::free(pages_.back());
        pages_.pop_back();
        state.kv_bytes -= layout_.page_bytes();
    }
    if (length % kPageKeys != 0 && !pages_.empty()) {
        const int64_t last = std::min(length_, static_cast<int64_t>(pages_.size()) * kPageKeys);
        const std::vector<float> zeros(static_cast<size_t>(std::max(layout_.head_dim, layout_.value_dim)), 0.0f);
        for (int64_t h = 0; h < layout_.kv_heads; ++h) {
            std::byte* head = pages_.back() + h * layout_.head_bytes();
            for (int64_t j = length; j < last; ++j) {
                store_key(layout_, zeros.data(), j % kPageKeys, head);
                store_value(layout_, zeros.data(), j % kPageKeys, head);
            }
        }
    }
    length_ = std::min(length_, length);
}

namespace {

void check_spec(const vlm_kv_spec* spec) {
    if (spec == nullptr) throw invalid_argument("spec is NULL");
    if (spec->struct_size < sizeof(vlm_kv_spec) || spec->struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument("spec has struct_size " + std::to_string(spec->struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_kv_spec)));
    const auto within = [](int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; };
    if (!within(spec->layers, 1, 65536) || !within(spec->kv_heads, 1, 65536) || !within(spec->head_dim, 1, 65536) ||
        !within(spec->capacity, 0, int64_t{1} << 31))
        throw invalid_argument("spec has layers " + std::to_string(spec->layers) + ", kv_heads " +
                               std::to_string(spec->kv_heads) + ", head_dim " + std::to_string(spec->head_dim) +
                               ", capacity " + std::to_string(spec->capacity) +
                               "; expected 1 to 65536 each and a capacity of 0 to 2^31");
}

}  // namespace

vlm_status kv_create(const vlm_compute* self, const vlm_kv_spec* spec, vlm_kv_cache** cache) {
    return guarded_load(self, "kv_create", [&](State& state) {
        if (cache == nullptr) throw invalid_argument("the place for the cache is NULL");
        *cache = nullptr;
        check_spec(spec);
        auto made = std::make_unique<vlm_kv_cache>();
        made->kv_heads = spec->kv_heads;
        made->head_dim = spec->head_dim;
        made->capacity = spec->capacity;
        made->type = state.kv;
        made->layers.resize(static_cast<size_t>(spec->layers));
        *cache = made.release();
    });
}

void kv_destroy(const vlm_compute* self, vlm_kv_cache* cache) {
    if (cache == nullptr || self == nullptr) return;
    for (auto& layer : cache->layers) layer.truncate(*static_cast<State*>(self->impl), 0);
    delete cache;
}

int64_t kv_length(const vlm_compute*, const vlm_kv_cache* cache, int32_t layer) {
    if (cache == nullptr || layer < 0 || static_cast<size_t>(layer) >= cache->layers.size()) return 0;
    return cache->layers[static_cast<size_t>(layer)].length();
}

vlm_status kv_truncate(const vlm_compute* self, vlm_kv_cache* cache, int32_t layer, int64_t length) {
    return guarded_load(self, "kv_truncate", [&](State& state) {
        if (cache == nullptr) throw invalid_argument("the cache is NULL");
        if (layer < 0 || static_cast<size_t>(layer) >= cache->layers.size())
            throw Error(VLM_STATUS_OUT_OF_RANGE,
                        "layer " + std::to_string(layer) + ", the cache has " + std::to_string(cache->layers.size()));
        if (length < 0) throw invalid_argument("length " + std::to_string(length) + " is negative");
        cache->layers[static_cast<size_t>(layer)].truncate(state, length);
    });
}

int64_t kv_bytes(const vlm_compute*, const vlm_kv_cache* cache) {
    int64_t total = 0;
    if (cache != nullptr)
        for (const auto& layer : cache->layers) total += layer.bytes();
    return total;
}

int64_t kv_token_bytes(const vlm_compute* self, const vlm_kv_spec* spec) {
    int64_t bytes = 0;
    const vlm_status status = guarded_load(self, "kv_token_bytes", [&](State& state) {
        check_spec(spec);
        const PageLayout layout{spec->kv_heads, spec->head_dim, spec->head_dim, state.kv};
        bytes = spec->layers * layout.token_bytes();
    });
    return status == VLM_STATUS_OK ? bytes : -1;
}

}  // namespace vlm::cpu
