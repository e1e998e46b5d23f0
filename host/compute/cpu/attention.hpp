/** @file attention.hpp
 *  An attention call after it has been checked, shared by the files that do parts of it.
 */
#pragma once
#include <memory>
#include <vector>

#include "host/compute/cpu/amx.hpp"
#include "host/compute/cpu/kv_cache.hpp"
#include "host/compute/cpu/scratch.hpp"
#include "host/compute/cpu/state.hpp"

namespace vlm::cpu {

/** Up to so many rows count as decoding: their keys are cut into spans that run in parallel. */
inline constexpr int64_t kFewRows = 8;

/** Everything that the kernels need; made by check_attention. */
struct AttentionCall {
    View q, k, v, out;
    View mask, key_bias, key_rows, key_cos, key_sin, last_row_scores, weights;
    int64_t rows = 0, heads = 0, keys = 0;
    int64_t group = 1;   ///< Query heads per key head.
    int64_t rotary = 0;  ///< Frequencies of key_cos, 0 when keys are rotated already.
    float scale = 1, softcap = 0;
    PageLayout layout;                ///< What is multiplied: f32 or bf16.
    PageLayout stored;                ///< What `pages` hold.
    std::vector<std::byte*> pages;    ///< Of the cache, or of `k` and `v`.
    std::vector<int32_t> begin, end;  ///< Visible range of each row, inside [0, keys].
    const Kernels* kernels = nullptr;
    const AmxKernels* amx = nullptr;  ///< For products in bf16 of many rows, or NULL.
    bool bf16_products = false;
    std::unique_ptr<ScratchBuffer> packed;  ///< Pages of keys that are not cached.
    /** Rotations of virtual keys, `[pages][cos, sin][rotary][kPageKeys]`: a column per key, as they are multiplied. */
    std::unique_ptr<ScratchBuffer> rotations;
    /** Pages of virtual keys that were made ahead, for heads from `ready_head` on; NULL: made when they are read. */
    const std::byte* ready = nullptr;
    int64_t ready_head = 0;

    bool virtual_keys() const { return key_rows.bytes != nullptr || rotary > 0; }
    /** Whether logits and weights are multiplied by the scales of pages. */
    bool scaled() const { return !virtual_keys() && stored.type == KvType::int8; }
    /** Whether pages are multiplied where they lie. */
    bool in_place() const { return virtual_keys() ? ready != nullptr : stored.type == layout.type; }
    int64_t page_count() const { return (keys + kPageKeys - 1) / kPageKeys; }
};

/** Keys and values of one head in one page. */
struct HeadPage {
    const std::byte* keys;
    const std::byte* values;
    const float* scales;  ///< Of 64 keys, behind them of 64 values; NULL: none.
};

/** Checks `args`, appends to the cache and packs what is not cached. */
void prepare_attention(State& state, const vlm_attention& args, AttentionCall& call);

/** Bytes that head_page needs for staging one page. */
int64_t staging_bytes(const AttentionCall& call);
/** Page `index` of key head `head`: in place, widened into `staging` (one head's elements), or gathered and rotated
 * there for virtual keys. */
HeadPage head_page(const AttentionCall& call, int64_t head, int64_t index, std::byte* staging);

/** Fills call.rotations. */
void make_rotations(State& state, AttentionCall& call);
/** Gathers and rotates one page of virtual keys into `page`, head_bytes long. `row` holds head_dim or value_dim floats.
 */
void gather_page(const AttentionCall& call, int64_t head, int64_t index, std::byte* page, float* row);

/** Logits of `rows` query rows times the keys of a page, scales applied, 64 of every `ldc` elements of `tile`; `q` is
 * f32 or bf16 as call.bf16_products says. */
void multiply_keys(const AttentionCall& call, const void* q, int64_t rows, const HeadPage& page, float* tile,
                   int64_t ldc);

/** Elements between query rows in the buffer of gather_queries. */
int64_t query_stride(const AttentionCall& call);
/** Copies query rows (`row * group + head of the group`, flattened) of a key head into `q`. */
void gather_queries(const AttentionCall& call, int64_t head, int64_t first, int64_t count, void* q);

/** The softmax of a query row over keys [low, high), whose logits begin at `logits`: the first step over a row, with
 * the call's scale, soft cap, bias and mask. */
SoftmaxStep softmax_over(const AttentionCall& call, int64_t row, int64_t low, int64_t high, float* logits);

/** Fills last_row_scores and weights. */
void write_weights(State& state, const AttentionCall& call);

}  // namespace vlm::cpu
