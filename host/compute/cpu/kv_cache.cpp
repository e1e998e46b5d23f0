/** @file kv_cache.cpp
 *  The key/value cache: pages that are taken from the system when keys arrive and given back when they are forgotten.
 *
 *  Pages come zeroed and are zeroed again where keys were forgotten, because the product with the values runs over
 * whole pages: a weight of 0 times a stale infinity would be NaN.
 */
#include "host/compute/cpu/kv_cache.hpp"

#include <algorithm>
#include <cstring>

#include "host/compute/cpu/convert.hpp"
#include "host/compute/cpu/state.hpp"
#include "host/compute/cpu/table.hpp"

namespace vlm::cpu {

namespace {

template <class T>
T encode(float x) {
    if constexpr (std::is_same_v<T, float>) {
        return x;
    } else {
        return Bf16{float_to_bf16(x)};
    }
}

template <class Fn>
void with_element(bool bf16, Fn&& fn) {
    if (bf16) {
        fn(Bf16{});
    } else {
        fn(float{});
    }
}

const float* row_of(const View& x, int64_t row, int64_t head) {
    return x.data<const float>() + row * x.strides[0] + head * x.strides[1];
}

/** One row, rounded; `out` has room for a pair more than `dim`. */
void round_row(const Kernels& kernels, const float* x, int64_t stride, int64_t dim, uint16_t* out) {
    if (stride == 1) {
        kernels.to_bf16(x, out, dim);
    } else {
        for (int64_t d = 0; d < dim; ++d) out[d] = float_to_bf16(x[d * stride]);
    }
    out[dim] = 0;
}

/** Two keys' values as pairs from slot `slot` on, or one when `odd` is NULL. */
void store_values(const PageLayout& layout, const uint16_t* even, const uint16_t* odd, int64_t slot, uint16_t* values) {
    for (int64_t d = 0; d < layout.value_dim; d += kPanel) {
        uint16_t* line = values + layout.value_index(slot, d);
        const int64_t n = std::min(kPanel, layout.value_dim - d);
        if (odd == nullptr) {
            for (int64_t c = 0; c < n; ++c) line[2 * c] = even[d + c];
        } else {
            for (int64_t c = 0; c < n; ++c) {
                line[2 * c] = even[d + c];
                line[2 * c + 1] = odd[d + c];
            }
        }
    }
}

/** Rows are rounded first and then moved as pairs: of one key along the head, of two keys in the values. Heads are the
 * inner loop because they are neighbours in the source, which the processor then reads ahead. */
void write_page_bf16(const PageLayout& layout, const View& k, const View& v, int64_t first, int64_t count, int64_t slot,
                     int64_t head, int64_t head_end, std::byte* page) {
    const Kernels& table = kernels();
    std::vector<uint16_t> rounded(static_cast<size_t>(2 * (std::max(layout.head_dim, layout.value_dim) + 2)));
    uint16_t *row = rounded.data(), *next = row + rounded.size() / 2;
    auto* memory = reinterpret_cast<uint16_t*>(page);
    for (int64_t i = 0; i < count; ++i)
        for (int64_t h = head; h < head_end; ++h) {
            round_row(table, row_of(k, first + i, h), k.strides[2], layout.head_dim, row);
            uint16_t* target = memory + h * layout.head_elements() + layout.key_index(slot + i, 0);
            for (int64_t d = 0; d < layout.head_dim; d += 2, target += 2 * kPanel) std::memcpy(target, row + d, 4);
        }
    for (int64_t i = 0, step = 1; i < count; i += step) {
        step = (slot + i) % 2 == 0 && i + 1 < count ? 2 : 1;
        for (int64_t h = head; h < head_end; ++h) {
            uint16_t* values = memory + h * layout.head_elements() + layout.key_elements();
            round_row(table, row_of(v, first + i, h), v.strides[2], layout.value_dim, row);
            if (step == 2) round_row(table, row_of(v, first + i + 1, h), v.strides[2], layout.value_dim, next);
            store_values(layout, row, step == 2 ? next : nullptr, slot + i, values);
        }
    }
}

}  // namespace

void write_page(const PageLayout& layout, const View& k, const View& v, int64_t first, int64_t count, int64_t slot,
                int64_t head, int64_t head_end, std::byte* page) {
    if (layout.bf16) return write_page_bf16(layout, k, v, first, count, slot, head, head_end, page);
    for (int64_t h = head; h < head_end; ++h) {
        float* keys = reinterpret_cast<float*>(page) + h * layout.head_elements();
        float* values = keys + layout.key_elements();
        for (int64_t i = 0; i < count; ++i) {
            const float* key = row_of(k, first + i, h);
            float* target = keys + layout.key_index(slot + i, 0);
            for (int64_t d = 0; d < layout.head_dim; ++d) target[d * kPanel] = key[d * k.strides[2]];
            const float* value = row_of(v, first + i, h);
            for (int64_t d = 0; d < layout.value_dim; d += kPanel) {
                float* line = values + layout.value_index(slot + i, d);
                const int64_t n = std::min(kPanel, layout.value_dim - d);
                for (int64_t c = 0; c < n; ++c) line[c] = value[(d + c) * v.strides[2]];
            }
        }
    }
}

void read_key(const PageLayout& layout, const std::byte* page, int64_t head, int64_t slot, float* key) {
    with_element(layout.bf16, [&](auto tag) {
        using T = decltype(tag);
        const T* keys = reinterpret_cast<const T*>(page) + head * layout.head_elements();
        for (int64_t d = 0; d < layout.head_dim; ++d) key[d] = to_float(keys[layout.key_index(slot, d)]);
    });
}

void read_value(const PageLayout& layout, const std::byte* page, int64_t head, int64_t slot, float* value) {
    with_element(layout.bf16, [&](auto tag) {
        using T = decltype(tag);
        const T* values = reinterpret_cast<const T*>(page) + head * layout.head_elements() + layout.key_elements();
        for (int64_t d = 0; d < layout.value_dim; ++d) value[d] = to_float(values[layout.value_index(slot, d)]);
    });
}

void store_key(const PageLayout& layout, const float* key, int64_t slot, std::byte* keys) {
    with_element(layout.bf16, [&](auto tag) {
        using T = decltype(tag);
        for (int64_t d = 0; d < layout.head_dim; ++d)
            reinterpret_cast<T*>(keys)[layout.key_index(slot, d)] = encode<T>(key[d]);
    });
}

void store_value(const PageLayout& layout, const float* value, int64_t slot, std::byte* values) {
    with_element(layout.bf16, [&](auto tag) {
        using T = decltype(tag);
        for (int64_t d = 0; d < layout.value_dim; ++d)
            reinterpret_cast<T*>(values)[layout.value_index(slot, d)] = encode<T>(value[d]);
    });
}

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
            std::byte* keys = pages_.back() + h * layout_.head_elements() * layout_.element_bytes();
            std::byte* values = keys + layout_.key_elements() * layout_.element_bytes();
            for (int64_t j = length; j < last; ++j) {
                store_key(layout_, zeros.data(), j % kPageKeys, keys);
                store_value(layout_, zeros.data(), j % kPageKeys, values);
            }
        }
    }
    length_ = std::min(length_, length);
}

vlm_status kv_create(const vlm_compute* self, const vlm_kv_spec* spec, vlm_kv_cache** cache) {
    return guarded_load(self, "kv_create", [&](State& state) {
        if (cache == nullptr) throw invalid_argument("the place for the cache is NULL");
        *cache = nullptr;
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
        auto made = std::make_unique<vlm_kv_cache>();
        made->kv_heads = spec->kv_heads;
        made->head_dim = spec->head_dim;
        made->capacity = spec->capacity;
        made->bf16 = state.options.mode == Precision::bf16;
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

}  // namespace vlm::cpu
