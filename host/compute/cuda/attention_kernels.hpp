/** @file attention_kernels.hpp
 *  An attention call as the kernels see it: plain data, all pointers on the GPU.
 */
#pragma once
#include <vlm/attention.h>

#include "host/compute/cuda/element.hpp"
#include "host/compute/cuda/queue.hpp"

namespace vlm::cuda {

/** Keys of one page of a cache. A page holds keys `[kv_heads, kPageKeys, head_dim]`, then values `[kv_heads, kPageKeys,
 * value_dim]`, in the activation dtype. */
inline constexpr int64_t kPageKeys = 64;
/** Widest head that the kernels hold in registers. */
inline constexpr int64_t kMaxHeadDim = 256;

/** Keys and values, in pages of a cache or as they come. */
struct KeySource {
    void* const* pages;  ///< Table of pages; NULL: `k` and `v`.
    const void* k;
    const void* v;
    int64_t k_row, k_head, v_row, v_head;  ///< Strides of `k` and `v` in elements.
    int64_t stored;                        ///< Number of keys.
    int64_t kv_heads, head_dim, value_dim;

    template <class T>
    VLM_HD const T* key(int64_t head, int64_t row) const {
        if (pages == nullptr) return static_cast<const T*>(k) + row * k_row + head * k_head;
        const T* page = static_cast<const T*>(pages[row / kPageKeys]);
        return page + (head * kPageKeys + row % kPageKeys) * head_dim;
    }
    template <class T>
    VLM_HD const T* value(int64_t head, int64_t row) const {
        if (pages == nullptr) return static_cast<const T*>(v) + row * v_row + head * v_head;
        const T* page = static_cast<const T*>(pages[row / kPageKeys]) + kv_heads * kPageKeys * head_dim;
        return page + (head * kPageKeys + row % kPageKeys) * value_dim;
    }
};

/** See vlm_attention. */
struct AttentionCall {
    const void* q;
    int64_t q_row, q_head;
    void* out;
    int64_t out_row, out_head;
    int64_t rows, heads, keys;
    int64_t group;  ///< Query heads per key head.
    float scale, softcap;
    uint32_t mask_rule;
    const int32_t* key_begin;
    const int32_t* key_end;
    const uint8_t* mask;
    const float* key_bias;
    const int32_t* key_rows;
    const float* key_cos;
    const float* key_sin;
    int64_t rotary;  ///< Frequencies of key_cos.
    KeySource source;
    int64_t fresh;  ///< The newest key and value are still at source.k and source.v: 0 or 1.
    int32_t* fault;

    /** The keys that a row sees: [low, high). */
    VLM_HD void visible(int64_t row, int64_t* low, int64_t* high) const {
        *low = 0;
        *high = keys;
        if (mask_rule == VLM_MASK_CAUSAL) {
            const int64_t end = keys - rows + row + 1;
            *high = end < 0 ? 0 : end;
        } else if (mask_rule == VLM_MASK_RANGES) {
            const int64_t begin = key_begin != nullptr ? key_begin[row] : 0, end = key_end[row];
            *low = begin < 0 ? 0 : begin > keys ? keys : begin;
            *high = end < *low ? *low : end > keys ? keys : end;
        }
    }
    VLM_HD bool masked(int64_t row, int64_t key) const { return mask != nullptr && mask[row * keys + key] == 0; }
    /** Row of the stored keys that key `j` stands for; -1 when the index is outside. */
    VLM_HD int64_t stored_row(int64_t j) const {
        const int64_t row = key_rows != nullptr ? key_rows[j] : j;
        return row >= 0 && row < source.stored ? row : -1;
    }
    /** Element `d` of key `j`, which lies at `key`, after its rotation. */
    template <class T>
    VLM_HD float key_element(const T* key, int64_t j, int64_t d) const {
        const float x = to_float(key[d]);
        if (d >= 2 * rotary) return x;
        const int64_t f = d < rotary ? d : d - rotary;
        const float cos = key_cos[j * rotary + f], sin = key_sin[j * rotary + f];
        return d < rotary ? x * cos - to_float(key[d + rotary]) * sin : x * cos + to_float(key[f]) * sin;
    }
    /** From a product of query and key to a logit. */
    VLM_HD float logit(float product, int64_t j) const {
        float x = product * scale;
        if (softcap != 0.0f) x = softcap * tanhf(x / softcap);
        return key_bias != nullptr ? x + key_bias[j] : x;
    }
};

/** How a call is cut, by its shape alone. */
struct AttentionPlan {
    int64_t group_chunks = 1;  ///< Blocks that share the heads of a group.
    int64_t spans = 1;         ///< Blocks that share the keys.
    int64_t span_keys = 0;
    int64_t partial_floats = 0;  ///< Scratch, when there are spans.
};
AttentionPlan plan_attention(const AttentionCall& call);

/** Any call. `partials` holds plan.partial_floats. */
void launch_attention(const Queue& queue, uint32_t dtype, const AttentionCall& call, const AttentionPlan& plan,
                      float* partials);

/** Many rows in bf16 on the tensor cores. No rotation, key rows or dense mask; sizes of heads multiples of 8 up to
 * kMaxTileDim; keys and values aligned to 16 bytes; fewer than 2^24 keys. */
inline constexpr int64_t kMaxTileDim = 128;
void launch_attention_tiles(const Queue& queue, const AttentionCall& call);

/** The call with keys `[keys, kv_heads, head_dim]` and values `[keys, kv_heads, value_dim]` that are what they are. */
AttentionCall with_plain_keys(const AttentionCall& call, const void* keys, const void* values);
/** Writes the virtual keys of a call in bf16 with their rotation, and their values; returns the call that reads them.
 */
AttentionCall launch_realise(const Queue& queue, const AttentionCall& call, void* keys, void* values);

/** Calls of one row in bf16, all with the same heads. No rotation, key rows or dense mask; sizes of heads multiples of
 * 8; keys and values, also the newest, aligned to 16 bytes. */
struct DecodeBatch {
    const AttentionCall* calls;  ///< On the GPU; NULL: `one` alone.
    AttentionCall one;           ///< The first.
    int64_t count;
    int64_t group_chunks, spans, span_keys;
    int64_t partial_floats;  ///< Scratch.
    float* partials;

    /** A copy, so that the fields that a kernel uses end up in registers: a reference to arguments would put all of
     * them into local memory. */
    VLM_HD AttentionCall call(int64_t number) const {
        if (calls == nullptr) return one;
        return calls[number];
    }
};
/** Cuts the work; `one` and `count` are set. */
void plan_decodes(DecodeBatch& batch, int64_t most_keys);
void launch_decodes(const Queue& queue, const DecodeBatch& batch);

/** Softmax weights of rows [first, first + count), mean over heads, into `mean` `[count, keys]`; `scratch` has `count *
 * heads * keys` floats. */
void launch_attention_weights(const Queue& queue, uint32_t dtype, const AttentionCall& call, int64_t first,
                              int64_t count, float* scratch, float* mean);

/** Writes `count` keys and values (strides as in KeySource) behind `length` keys of a cache. */
void launch_append(const Queue& queue, uint32_t dtype, const KeySource& from, int64_t count, void* const* pages,
                   int64_t length);

}  // namespace vlm::cuda
