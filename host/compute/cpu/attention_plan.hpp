/** @file attention_plan.hpp
 *  How an attention call is cut into items, and the memory of one item. Shapes alone decide, so that results do not
 * depend on the number of threads.
 */
#pragma once
#include <limits>

#include "host/compute/cpu/attention.hpp"

namespace vlm::cpu {

/** Query rows of one item. */
inline constexpr int64_t kQueryBlock = 64;
/** Pages of one tile of logits, and of one span of keys when few rows are decoded. */
inline constexpr int64_t kTilePages = 4;
inline constexpr int64_t kTileKeys = kTilePages * kPageKeys;
/** The running maximum of a row that has seen nothing. */
inline constexpr float kNone = -std::numeric_limits<float>::infinity();

/** Partial result of one block of query rows over one span of keys. */
struct Partial {
    float* maximum;  ///< `[kQueryBlock]`.
    float* sum;      ///< `[kQueryBlock]`.
    float* out;      ///< `[kQueryBlock][stride]`.
};

/** How one call is cut. */
struct AttentionPlan {
    int64_t flat_rows = 0;   ///< rows * group.
    int64_t blocks = 0;      ///< Blocks of query rows per key head.
    int64_t spans = 0;       ///< Spans of keys.
    int64_t span_pages = 0;  ///< Pages of one span.
    int64_t stride = 0;      ///< Elements of one row of partial output: value_dim padded to panels.

    int64_t partial_floats() const { return kQueryBlock * (stride + 2); }
    Partial partial(float* memory, int64_t index) const {
        float* base = memory + index * partial_floats();
        return {base, base + kQueryBlock, base + 2 * kQueryBlock};
    }
};

/** Buffers of one item. */
struct AttentionWork {
    float* tile;        ///< `[kQueryBlock][kTileKeys]` logits, then weights.
    uint16_t* rounded;  ///< The weights in bf16.
    float* scales;      ///< `[2][kTileKeys]`, of keys and of values, for pages that have some.
    void* queries;
    std::byte* staging;  ///< For kTilePages pages.
};

/** One block of query rows of one key head over one span of keys. */
struct AttentionItem {
    int64_t head;
    int64_t first, count;         ///< Flattened rows.
    int64_t first_row, last_row;  ///< Rows that they belong to.
    int64_t begin, end;           ///< Keys of the span.
};

/** Whether any row of the item sees a key of [key, key_end). */
bool any_sees(const AttentionCall& call, const AttentionItem& item, int64_t key, int64_t key_end);

/** The item in f32, or with bf16 keys widened to f32: bit for bit the same sums whatever the blocking. */
void run_span_f32(const AttentionCall& call, const AttentionPlan& plan, const AttentionItem& item,
                  const AttentionWork& work, const Partial& partial);
/** The item with products in bf16. */
void run_span_bf16(const AttentionCall& call, const AttentionPlan& plan, const AttentionItem& item,
                   const AttentionWork& work, const Partial& partial);

}  // namespace vlm::cpu
