/** @file kv_cache.cpp
 *  See kv_cache.hpp. Pages are not cleared: kernels never touch a slot behind the last key.
 */
#include "host/compute/cuda/kv_cache.hpp"

#include <algorithm>

#include "host/compute/cuda/table.hpp"

namespace vlm::cuda {

namespace {

constexpr int64_t kFirstTablePages = 16;

void check_spec(const vlm_kv_spec* spec) {
    if (spec == nullptr) throw invalid_argument("spec is NULL");
    if (spec->struct_size < sizeof(vlm_kv_spec) || spec->struct_size > VLM_STRUCT_SIZE_MAX)
        throw invalid_argument("spec has struct_size " + std::to_string(spec->struct_size) + ", expected " +
                               std::to_string(sizeof(vlm_kv_spec)));
    const auto within = [](int64_t value, int64_t low, int64_t high) { return value >= low && value <= high; };
    if (!within(spec->layers, 1, 65536) || !within(spec->kv_heads, 1, 65536) ||
        !within(spec->head_dim, 1, kMaxHeadDim) || !within(spec->capacity, 0, int64_t{1} << 31))
        throw invalid_argument("spec has layers " + std::to_string(spec->layers) + ", kv_heads " +
                               std::to_string(spec->kv_heads) + ", head_dim " + std::to_string(spec->head_dim) +
                               ", capacity " + std::to_string(spec->capacity) +
                               "; expected 1 to 65536 layers and heads of 1 to " + std::to_string(kMaxHeadDim) +
                               " elements, and a capacity of 0 to 2^31");
}

}  // namespace

int64_t LayerCache::bytes(const State& state, int64_t kv_heads, int64_t head_dim) const {
    return length_ * kv_heads * (head_dim + value_dim_) * cpu::element_bytes(state.options.activation_dtype);
}

void LayerCache::reserve(State& state, const Queue& step, int64_t keys, int64_t page_bytes) {
    const int64_t wanted = divide_up(keys, kPageKeys), before = static_cast<int64_t>(pages_.size());
    if (wanted <= before) return;
    const Queue queue = state.ahead_of(step);
    page_bytes_ = page_bytes;
    if (wanted > table_pages_) {
        const int64_t room = std::max({wanted, 2 * table_pages_, kFirstTablePages});
        void* table = state.allocate(queue, room * static_cast<int64_t>(sizeof(void*)), Purpose::cache);
        if (table_ != nullptr) {
            queue.runtime.copy(table_, table, before * static_cast<int64_t>(sizeof(void*)), queue.stream);
            state.release(queue, table_, table_pages_ * static_cast<int64_t>(sizeof(void*)), Purpose::cache);
        }
        table_ = table;
        table_pages_ = room;
    }
    pages_.reserve(static_cast<size_t>(wanted));
    try {
        while (static_cast<int64_t>(pages_.size()) < wanted)
            pages_.push_back(state.allocate(queue, page_bytes, Purpose::cache));
        state.upload(queue, pages_.data() + before, static_cast<void**>(table_) + before,
                     (wanted - before) * static_cast<int64_t>(sizeof(void*)));
    } catch (...) {
        while (static_cast<int64_t>(pages_.size()) > before) {
            state.release(queue, pages_.back(), page_bytes, Purpose::cache);
            pages_.pop_back();
        }
        throw;
    }
}

void LayerCache::truncate(State& state, const Queue& queue, int64_t length) {
    length_ = std::min(length_, length);
    const auto kept = static_cast<size_t>(divide_up(length_, kPageKeys));
    while (pages_.size() > kept) {
        state.release(queue, pages_.back(), page_bytes_, Purpose::cache);
        pages_.pop_back();
    }
    if (pages_.empty() && table_ != nullptr) {
        state.release(queue, table_, table_pages_ * static_cast<int64_t>(sizeof(void*)), Purpose::cache);
        table_ = nullptr;
        table_pages_ = 0;
    }
}

vlm_status kv_create(const vlm_compute* self, const vlm_kv_spec* spec, vlm_kv_cache** cache) {
    return guarded_quiet(self, nullptr, "kv_create", [&](State&, const Queue&) {
        if (cache == nullptr) throw invalid_argument("the place for the cache is NULL");
        *cache = nullptr;
        check_spec(spec);
        auto made = std::make_unique<Cache>();
        made->kv_heads = spec->kv_heads;
        made->head_dim = spec->head_dim;
        made->capacity = spec->capacity;
        made->layers.resize(static_cast<size_t>(spec->layers));
        *cache = reinterpret_cast<vlm_kv_cache*>(made.release());
    });
}

void kv_destroy(const vlm_compute* self, vlm_kv_cache* cache) {
    if (cache == nullptr || self == nullptr) return;
    guarded_quiet(self, nullptr, "kv_destroy", [&](State& state, const Queue& queue) {
        const std::unique_ptr<Cache> gone(cache_of(cache));
        for (auto& layer : gone->layers) layer.truncate(state, queue, 0);
    });
}

int64_t kv_length(const vlm_compute*, const vlm_kv_cache* cache, int32_t layer) {
    if (cache == nullptr || layer < 0 || static_cast<size_t>(layer) >= cache_of(cache)->layers.size()) return 0;
    return cache_of(cache)->layers[static_cast<size_t>(layer)].length();
}

vlm_status kv_truncate(const vlm_compute* self, vlm_kv_cache* cache, int32_t layer, int64_t length) {
    return guarded_quiet(self, nullptr, "kv_truncate", [&](State& state, const Queue& queue) {
        if (cache == nullptr) throw invalid_argument("the cache is NULL");
        auto& layers = cache_of(cache)->layers;
        if (layer < 0 || static_cast<size_t>(layer) >= layers.size())
            throw Error(VLM_STATUS_OUT_OF_RANGE,
                        "layer " + std::to_string(layer) + ", the cache has " + std::to_string(layers.size()));
        if (length < 0) throw invalid_argument("length " + std::to_string(length) + " is negative");
        state.steps.leave_mine();
        layers[static_cast<size_t>(layer)].truncate(state, queue, length);
    });
}

int64_t kv_bytes(const vlm_compute* self, const vlm_kv_cache* cache) {
    int64_t total = 0;
    if (cache != nullptr && self != nullptr)
        for (const auto& layer : cache_of(cache)->layers)
            total +=
                layer.bytes(*static_cast<State*>(self->impl), cache_of(cache)->kv_heads, cache_of(cache)->head_dim);
    return total;
}

int64_t kv_token_bytes(const vlm_compute* self, const vlm_kv_spec* spec) {
    try {
        const State& state = state_of(self);
        check_spec(spec);
        return 2 * int64_t{spec->layers} * spec->kv_heads * spec->head_dim *
               cpu::element_bytes(state.options.activation_dtype);
    } catch (...) {
        return -1;  // as for every spec that kv_create refuses, which says why
    }
}

}  // namespace vlm::cuda
