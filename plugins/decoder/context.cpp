/** @file context.cpp
 *  The bookkeeping follows the cache exactly: `cut_caches` makes the cache follow the bookkeeping.
 */
#include "context.hpp"

#include <algorithm>
#include <string>
#include <vlm/sdk/error.hpp>
#include <vlm/sdk/structs.hpp>

namespace vlm::decoder {
namespace {

vlm_kv_cache* make_cache(const vlm_compute& compute, int32_t layers, int32_t heads, int32_t head_dim,
                         int64_t capacity) {
    auto spec = sdk::make_struct<vlm_kv_spec>();
    spec.layers = layers;
    spec.kv_heads = heads;
    spec.head_dim = head_dim;
    spec.capacity = capacity;
    vlm_kv_cache* cache = nullptr;
    sdk::check_host(compute.kv_create(&compute, &spec, &cache), "kv_create");
    return cache;
}

template <typename T>
void append(std::vector<T>& to, const std::vector<T>& from) {
    to.insert(to.end(), from.begin(), from.end());
}

/** Most rows of cross-attention memory: no limit is known before images come. */
constexpr int64_t kMemoryCapacity = int64_t{1} << 24;

}  // namespace

Context::Context(const DecoderConfig& config, const vlm_compute& compute, int64_t max_tokens)
    : compute_(compute),
      layers_(config.layers),
      memory_layers_(config.cross_layers()),
      max_tokens_(max_tokens),
      place_offset_(config.position_offset),
      spans_(1) {
    cache_ = make_cache(compute, layers_, config.kv_heads, config.head_dim, max_tokens);
    if (memory_layers_ > 0) {
        try {
            memory_cache_ = make_cache(compute, memory_layers_, config.heads, config.head_dim, kMemoryCapacity);
        } catch (...) {
            compute_.kv_destroy(&compute_, cache_);
            throw;
        }
    }
}

Context::~Context() {
    compute_.kv_destroy(&compute_, cache_);
    if (memory_cache_ != nullptr) compute_.kv_destroy(&compute_, memory_cache_);
}

SequenceStart Context::start() const {
    SequenceStart start;
    start.index = static_cast<int32_t>(tokens());
    start.next_place = place_offset_;
    start.image_base = image_base_;
    if (!records_.empty()) {
        start.next_place = records_.back().next_place;
        start.images = records_.back().images;
        start.memory_image = records_.back().memory_image;
    }
    return start;
}

const KeyList& Context::keys(int32_t layer) const {
    auto next = std::upper_bound(spans_.begin(), spans_.end(), layer,
                                 [](int32_t l, const KeyList& span) { return l < span.first_layer; });
    return *std::prev(next);
}

vlm_backbone_state Context::state() const {
    auto state = sdk::make_struct<vlm_backbone_state>();
    state.tokens = tokens();
    state.kv_bytes = compute_.kv_bytes(&compute_, cache_);
    if (memory_cache_ != nullptr) state.kv_bytes += compute_.kv_bytes(&compute_, memory_cache_);
    state.pruned = pruned_;
    return state;
}

void Context::make_compact(int32_t frequencies, size_t axes) {
    if (compact_) return;
    compact_ = true;
    frequencies_ = axes == 0 ? frequencies : 0;
    axes_ = axes;
    for (KeyList& span : spans_) {
        for (int32_t i = 0; i < static_cast<int32_t>(span.size()); ++i) span.row.push_back(i);
        span.cos.assign(static_cast<size_t>(span.size() * frequencies_), 1.0f);
        span.sin.assign(static_cast<size_t>(span.size() * frequencies_), 0.0f);
        for (size_t a = 0; a < axes; ++a) span.place[a].assign(static_cast<size_t>(span.size()), 0);
    }
}

void Context::commit(const Sequence& sequence, const std::vector<NewKeys>& spans,
                     const std::vector<int64_t>& memory_rows, int64_t pruned, bool reduced) {
    for (const NewKeys& fresh : spans) {
        auto at = std::find_if(spans_.begin(), spans_.end(),
                               [&](const KeyList& span) { return span.first_layer >= fresh.first_layer; });
        if (at != spans_.end() && at->first_layer == fresh.first_layer) continue;
        KeyList split = *std::prev(at);
        split.first_layer = fresh.first_layer;
        spans_.insert(at, std::move(split));
    }
    for (KeyList& span : spans_) {
        auto next = std::upper_bound(spans.begin(), spans.end(), span.first_layer,
                                     [](int32_t l, const NewKeys& fresh) { return l < fresh.first_layer; });
        const NewKeys& fresh = *std::prev(next);
        append(span.index, fresh.index);
        append(span.image, fresh.image);
        if (compact_) {
            for (int32_t row : fresh.row) span.row.push_back(row + static_cast<int32_t>(span.cached_rows));
            append(span.cos, fresh.cos);
            append(span.sin, fresh.sin);
            for (size_t a = 0; a < axes_; ++a) append(span.place[a], fresh.place[a]);
        }
        span.cached_rows += fresh.rows;
    }
    for (int64_t rows : memory_rows) memory_ends_.push_back((memory_ends_.empty() ? 0 : memory_ends_.back()) + rows);
    append(records_, sequence.records);
    image_base_ = sequence.image_base;
    pruned_ += pruned;
    if (sequence.reduced || reduced) reduced_end_ = tokens();
}

void Context::roll_back() {
    cut_caches();
}

void Context::cut_caches() {
    for (int32_t layer = 0; layer < layers_; ++layer) {
        int64_t rows = keys(layer).cached_rows;
        if (compute_.kv_length(&compute_, cache_, layer) > rows) compute_.kv_truncate(&compute_, cache_, layer, rows);
    }
    int64_t memory = memory_ends_.empty() ? 0 : memory_ends_.back();
    for (int32_t layer = 0; layer < memory_layers_; ++layer) {
        if (compute_.kv_length(&compute_, memory_cache_, layer) > memory) {
            compute_.kv_truncate(&compute_, memory_cache_, layer, memory);
        }
    }
}

void Context::truncate(int64_t tokens) {
    if (tokens < 0 || tokens > this->tokens()) {
        throw sdk::Error(VLM_STATUS_OUT_OF_RANGE, "Cannot cut a context of " + std::to_string(this->tokens()) +
                                                      " tokens at token " + std::to_string(tokens) + ".");
    }
    if (tokens > 0 && tokens < reduced_end_) {
        throw sdk::failed_precondition("Cannot cut the context at token " + std::to_string(tokens) +
                                       ": the tokens up to " + std::to_string(reduced_end_) +
                                       " were merged or pruned. Start a new context instead.");
    }
    for (KeyList& span : spans_) {
        auto kept = std::partition_point(span.index.begin(), span.index.end(), [&](int32_t i) { return i < tokens; });
        auto keys = static_cast<size_t>(kept - span.index.begin());
        // Behind the reduced part every key is a row of its own.
        span.cached_rows = tokens == 0 ? 0 : span.cached_rows - (span.size() - static_cast<int64_t>(keys));
        span.index.resize(keys);
        span.image.resize(keys);
        if (compact_) {
            span.row.resize(keys);
            span.cos.resize(keys * static_cast<size_t>(frequencies_));
            span.sin.resize(keys * static_cast<size_t>(frequencies_));
            for (size_t a = 0; a < axes_; ++a) span.place[a].resize(keys);
        }
    }
    records_.resize(static_cast<size_t>(tokens));
    if (tokens == 0) {
        spans_.resize(1);
        compact_ = false;
        reduced_end_ = 0;
        pruned_ = 0;
        image_base_ = 0;
    }
    size_t images = records_.empty() ? 0 : static_cast<size_t>(records_.back().images);
    if (memory_ends_.size() > images) memory_ends_.resize(images);
    cut_caches();
}

}  // namespace vlm::decoder
