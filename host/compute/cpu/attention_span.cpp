/** @file attention_span.cpp
 *  One block of query rows over one span of keys: logits of a tile of four pages, weights, weighted values. Two ways
 * stand side by side. In f32 every product is the dense kernel of the linear layers, and the order of all sums is part
 * of what the parity mode promises. In bf16 the three steps have kernels of their own (attention_bf16_inl.hpp), which
 * are told what memory comes next.
 */
#include <algorithm>

#include "host/compute/cpu/attention_plan.hpp"

namespace vlm::cpu {

namespace {

/** Adds the values of page `index` of the tile, weighted by `keys` columns of it, to the partial output. */
void multiply_values(const AttentionCall& call, const AttentionPlan& plan, const AttentionWork& work, int64_t rows,
                     int64_t index, int64_t keys, const HeadPage& page, float* out) {
    const PageLayout& layout = call.layout;
    float* weights = work.tile + index * kPageKeys;
    for (int64_t i = 0; i < rows && page.scales != nullptr; ++i) {
        float* row = weights + i * kTileKeys;
        call.kernels->multiply(row, page.scales + kPageKeys, row, kPageKeys);
    }
    for (int64_t p = 0; p < layout.value_panels(); ++p) {
        const std::byte* panel = page.values + p * kPageKeys * kPanel * layout.element_bytes();
        float* c = out + p * kPanel;
        if (layout.pairs()) {
            call.kernels->gemm_f32_bf16(weights, kTileKeys, reinterpret_cast<const uint16_t*>(panel), keys, c,
                                        plan.stride, rows, true);
        } else {
            call.kernels->gemm_f32(weights, kTileKeys, reinterpret_cast<const float*>(panel), keys, c, plan.stride,
                                   rows, true);
        }
    }
}

/** Visible columns [low, high) of the tile that begins at `key`, for one row. */
struct Columns {
    int64_t low, high;
};
Columns visible_columns(const AttentionCall& call, int64_t row, int64_t key, int64_t columns) {
    const auto i = static_cast<size_t>(row);
    return {std::max<int64_t>(call.begin[i] - key, 0), std::min<int64_t>(call.end[i] - key, columns)};
}

const float* bias_from(const AttentionCall& call, int64_t key) {
    return call.key_bias.bytes != nullptr ? call.key_bias.data<float>() + key : nullptr;
}
const uint8_t* mask_from(const AttentionCall& call, int64_t row, int64_t key) {
    return call.mask.bytes != nullptr ? call.mask.data<uint8_t>() + row * call.keys + key : nullptr;
}

/** Brings earlier output of a row to its new maximum. */
void scale_output(const AttentionCall& call, const AttentionPlan& plan, const Partial& partial, int64_t i,
                  float correction) {
    float* out = partial.out + i * plan.stride;
    if (correction != 1.0f) call.kernels->scale(out, correction, out, plan.stride);
}

/** Turns the logits of a tile, whose first key is `key` and whose columns end at `columns`, into weights row by row. */
void weigh_f32(const AttentionCall& call, const AttentionPlan& plan, const AttentionItem& item,
               const AttentionWork& work, int64_t key, int64_t columns, const Partial& partial) {
    for (int64_t i = 0; i < item.count; ++i) {
        const int64_t row = (item.first + i) / call.group;
        const auto [low, high] = visible_columns(call, row, key, columns);
        float* logits = work.tile + i * kTileKeys;
        if (low >= high) {
            std::fill(logits, logits + columns, 0.0f);
            continue;
        }
        SoftmaxStep step = softmax_over(call, row, key + low, key + high, logits + low);
        step.maximum = partial.maximum[i];
        step.sum = partial.sum[i];
        call.kernels->softmax_step(step);
        std::fill(logits, logits + low, 0.0f);
        std::fill(logits + high, logits + columns, 0.0f);
        partial.maximum[i] = step.maximum;
        partial.sum[i] = step.sum;
        scale_output(call, plan, partial, i, step.correction);
    }
}

void weigh_bf16(const AttentionCall& call, const AttentionPlan& plan, const AttentionItem& item,
                const AttentionWork& work, int64_t key, int64_t columns, const Partial& partial) {
    WeightTile tile{};
    tile.ld = tile.ldw = kTileKeys;
    tile.columns = columns;
    tile.scale = call.scale;
    tile.softcap = call.softcap;
    tile.bias = bias_from(call, key);
    if (call.scaled()) {
        tile.key_scales = work.scales;
        tile.value_scales = work.scales + kTileKeys;
    }
    for (int64_t first = 0; first < item.count; first += WeightTile::kRows) {
        tile.rows = std::min<int64_t>(WeightTile::kRows, item.count - first);
        tile.logits = work.tile + first * kTileKeys;
        tile.weights = work.rounded + first * kTileKeys;
        tile.maximum = partial.maximum + first;
        tile.sum = partial.sum + first;
        for (int64_t i = 0; i < tile.rows; ++i) {
            const int64_t row = (item.first + first + i) / call.group;
            const auto [low, high] = visible_columns(call, row, key, columns);
            tile.low[i] = low;
            tile.high[i] = high;
            tile.mask[i] = mask_from(call, row, key);
        }
        call.kernels->weight_tile(tile);
        for (int64_t i = 0; i < tile.rows; ++i) scale_output(call, plan, partial, first + i, tile.correction[i]);
    }
}

}  // namespace

bool any_sees(const AttentionCall& call, const AttentionItem& item, int64_t key, int64_t key_end) {
    for (int64_t r = item.first_row; r <= item.last_row; ++r) {
        const auto i = static_cast<size_t>(r);
        if (std::max<int64_t>(call.begin[i], key) < std::min<int64_t>(call.end[i], key_end)) return true;
    }
    return false;
}

void run_span_f32(const AttentionCall& call, const AttentionPlan& plan, const AttentionItem& item,
                  const AttentionWork& work, const Partial& partial) {
    bool gathered = false;
    for (int64_t key = item.begin; key < item.end; key += kTileKeys) {
        HeadPage pages[kTilePages];
        bool seen[kTilePages] = {};
        int64_t columns = 0;
        for (int64_t p = 0; p < kTilePages && key + p * kPageKeys < item.end; ++p) {
            const int64_t page_key = key + p * kPageKeys;
            seen[p] = any_sees(call, item, page_key, std::min(page_key + kPageKeys, item.end));
            if (!seen[p]) continue;
            if (!gathered) gather_queries(call, item.head, item.first, item.count, work.queries);
            gathered = true;
            columns = (p + 1) * kPageKeys;
            pages[p] = head_page(call, item.head, page_key / kPageKeys, work.staging + p * staging_bytes(call));
            multiply_keys(call, work.queries, item.count, pages[p], work.tile + p * kPageKeys, kTileKeys);
        }
        if (columns == 0) continue;
        weigh_f32(call, plan, item, work, key, columns, partial);
        for (int64_t p = 0; p < columns / kPageKeys; ++p)
            if (seen[p])
                multiply_values(call, plan, work, item.count, p, std::min(kPageKeys, item.end - key - p * kPageKeys),
                                pages[p], partial.out);
    }
}

void run_span_bf16(const AttentionCall& call, const AttentionPlan& plan, const AttentionItem& item,
                   const AttentionWork& work, const Partial& partial) {
    bool gathered = false;
    for (int64_t key = item.begin; key < item.end; key += kTileKeys) {
        const uint16_t *keys[kTilePages] = {}, *values[kTilePages] = {};
        int64_t pages = 0;
        const uint16_t* first_values = nullptr;
        for (int64_t p = 0; p < kTilePages && key + p * kPageKeys < item.end; ++p) {
            const int64_t page_key = key + p * kPageKeys;
            if (!any_sees(call, item, page_key, std::min(page_key + kPageKeys, item.end))) continue;
            const HeadPage page =
                head_page(call, item.head, page_key / kPageKeys, work.staging + p * staging_bytes(call));
            keys[p] = reinterpret_cast<const uint16_t*>(page.keys);
            values[p] = reinterpret_cast<const uint16_t*>(page.values);
            if (page.scales != nullptr) {
                std::copy_n(page.scales, kPageKeys, work.scales + p * kPageKeys);
                std::copy_n(page.scales + kPageKeys, kPageKeys, work.scales + kTileKeys + p * kPageKeys);
            }
            if (first_values == nullptr) first_values = values[p];
            pages = p + 1;
        }
        if (pages == 0) continue;
        if (!gathered) gather_queries(call, item.head, item.first, item.count, work.queries);
        gathered = true;
        const int64_t ldq = query_stride(call), end = std::min(item.end, key + pages * kPageKeys) - key;
        (call.amx != nullptr ? call.amx->score_tile : call.kernels->score_tile)(
            {static_cast<const uint16_t*>(work.queries), ldq, item.count, call.layout.key_depth(), keys, pages,
             work.tile, kTileKeys, first_values});
        weigh_bf16(call, plan, item, work, key, pages * kPageKeys, partial);
        // The next tile, or what this thread most likely takes next: the first tile of the next span.
        const int64_t next = key + kTileKeys;
        const std::byte* ahead =
            next < call.keys && call.in_place() ? head_page(call, item.head, next / kPageKeys, nullptr).keys : nullptr;
        (call.amx != nullptr ? call.amx->value_tile : call.kernels->value_tile)(
            {work.rounded, kTileKeys, item.count, values, pages, (end + kPairDepth - 1) / kPairDepth * kPairDepth,
             call.layout.value_panels(), partial.out, plan.stride, ahead});
    }
}

}  // namespace vlm::cpu
