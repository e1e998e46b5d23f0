/** @file attention.cpp
 *  Attention with an online softmax (Milakov and Gimelshein, arXiv 1805.02867; blocked as in FlashAttention, arXiv
 * 2205.14135): logits exist only as a tile of 64 query rows by 256 keys, which stays in the core's own cache. (A tile
 * of one page would fit the first level, but then the sums and maxima per row cost more than the exponentials.)
 *
 *  The query rows of one key head are all rows of all heads of its group, so that grouped queries share each page while
 * it is in the cache and a single decoded row still fills the kernel. With few rows the keys are cut into spans of 256
 * that run in parallel, and their partial results are added in a fixed order; with many rows the blocks of rows are
 * enough. Pages that no row of a block sees are skipped. How the work is cut depends on shapes alone.
 */
#include "host/compute/cpu/attention.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "host/compute/cpu/table.hpp"

namespace vlm::cpu {

namespace {

constexpr int64_t kQueryBlock = 64;
/** Pages of one tile, and of one span of keys when few rows are decoded. */
constexpr int64_t kTilePages = 4;
constexpr int64_t kTileKeys = kTilePages * kPageKeys;
constexpr int64_t kFewRows = 8;
constexpr float kNone = -std::numeric_limits<float>::infinity();

/** Partial result of one block of query rows over one span of keys. */
struct Partial {
    float* maximum;  ///< `[kQueryBlock]`.
    float* sum;      ///< `[kQueryBlock]`.
    float* out;      ///< `[kQueryBlock][stride]`.
};

/** How one call is cut. */
struct Plan {
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

Plan make_plan(const AttentionCall& call) {
    Plan plan;
    plan.flat_rows = call.rows * call.group;
    plan.blocks = (plan.flat_rows + kQueryBlock - 1) / kQueryBlock;
    const int64_t pages = (call.keys + kPageKeys - 1) / kPageKeys;
    plan.span_pages = call.rows <= kFewRows ? kTilePages : std::max<int64_t>(pages, 1);
    plan.spans = std::max<int64_t>(1, (pages + plan.span_pages - 1) / plan.span_pages);
    plan.stride = call.layout.value_panels() * kPanel;
    return plan;
}

/** Buffers of one item. */
struct Work {
    float* tile;        ///< `[kQueryBlock][kTileKeys]` logits, then weights.
    uint16_t* rounded;  ///< The weights in bf16.
    void* queries;
    std::byte* staging;  ///< For kTilePages pages.
};

int64_t aligned(int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

int64_t work_bytes(const AttentionCall& call) {
    return aligned(kQueryBlock * query_stride(call) * 4) + kTilePages * staging_bytes(call) +
           kQueryBlock * kTileKeys * (4 + 2);
}

Work split_work(const AttentionCall& call, std::byte* memory) {
    Work work{};
    work.tile = reinterpret_cast<float*>(memory);
    memory += kQueryBlock * kTileKeys * 4;
    work.rounded = reinterpret_cast<uint16_t*>(memory);
    memory += kQueryBlock * kTileKeys * 2;
    work.queries = memory;
    work.staging = memory + aligned(kQueryBlock * query_stride(call) * 4);
    return work;
}

/** Adds the values of page `index` of the tile, weighted by `keys` columns of it, to the partial output. */
void multiply_values(const AttentionCall& call, const Plan& plan, const Work& work, int64_t rows, int64_t index,
                     int64_t keys, const HeadPage& page, float* out) {
    const PageLayout& layout = call.layout;
    const int64_t padded = (keys + kPairDepth - 1) / kPairDepth * kPairDepth, column = index * kPageKeys;
    for (int64_t p = 0; p < layout.value_panels(); ++p) {
        const std::byte* panel = page.values + p * kPageKeys * kPanel * layout.element_bytes();
        float* c = out + p * kPanel;
        if (call.bf16_products) {
            call.kernels->gemm_bf16(work.rounded + column, kTileKeys, reinterpret_cast<const uint16_t*>(panel), padded,
                                    c, plan.stride, rows, true);
        } else if (layout.bf16) {
            call.kernels->gemm_f32_bf16(work.tile + column, kTileKeys, reinterpret_cast<const uint16_t*>(panel), keys,
                                        c, plan.stride, rows, true);
        } else {
            call.kernels->gemm_f32(work.tile + column, kTileKeys, reinterpret_cast<const float*>(panel), keys, c,
                                   plan.stride, rows, true);
        }
    }
}

/** Turns the logits of a tile, whose first key is `key` and whose columns end at `columns`, into weights row by row. */
void weigh(const AttentionCall& call, const Plan& plan, const Work& work, int64_t first, int64_t count, int64_t key,
           int64_t columns, const Partial& partial) {
    for (int64_t i = 0; i < count; ++i) {
        const int64_t row = (first + i) / call.group;
        const int64_t low = std::max<int64_t>(call.begin[static_cast<size_t>(row)] - key, 0);
        const int64_t high = std::min<int64_t>(call.end[static_cast<size_t>(row)] - key, columns);
        float* logits = work.tile + i * kTileKeys;
        if (low >= high) {
            std::fill(logits, logits + columns, 0.0f);
        } else {
            SoftmaxStep step{};
            step.logits = logits + low;
            step.n = high - low;
            step.scale = call.scale;
            step.softcap = call.softcap;
            step.bias = call.key_bias.bytes != nullptr ? call.key_bias.data<float>() + key + low : nullptr;
            step.mask = call.mask.bytes != nullptr ? call.mask.data<uint8_t>() + row * call.keys + key + low : nullptr;
            step.maximum = partial.maximum[i];
            step.sum = partial.sum[i];
            call.kernels->softmax_step(step);
            std::fill(logits, logits + low, 0.0f);
            std::fill(logits + high, logits + columns, 0.0f);
            partial.maximum[i] = step.maximum;
            partial.sum[i] = step.sum;
            if (step.correction != 1.0f)
                call.kernels->scale(partial.out + i * plan.stride, step.correction, partial.out + i * plan.stride,
                                    plan.stride);
        }
        if (call.bf16_products) call.kernels->to_bf16(logits, work.rounded + i * kTileKeys, columns);
    }
}

/** Whether any row of [first_row, last_row] sees a key of [key, key_end). */
bool any_sees(const AttentionCall& call, int64_t first_row, int64_t last_row, int64_t key, int64_t key_end) {
    for (int64_t r = first_row; r <= last_row; ++r) {
        const auto i = static_cast<size_t>(r);
        if (std::max<int64_t>(call.begin[i], key) < std::min<int64_t>(call.end[i], key_end)) return true;
    }
    return false;
}

/** One block of query rows over one span of keys. */
void run_span(const AttentionCall& call, const Plan& plan, int64_t head, int64_t block, int64_t span, const Work& work,
              const Partial& partial) {
    const int64_t first = block * kQueryBlock, count = std::min(kQueryBlock, plan.flat_rows - first);
    const int64_t first_row = first / call.group, last_row = (first + count - 1) / call.group;
    std::fill(partial.maximum, partial.maximum + count, kNone);
    std::fill(partial.sum, partial.sum + count, 0.0f);
    std::fill(partial.out, partial.out + count * plan.stride, 0.0f);
    const int64_t begin = span * plan.span_pages * kPageKeys;
    const int64_t end = std::min(call.keys, begin + plan.span_pages * kPageKeys);
    bool gathered = false;
    for (int64_t key = begin; key < end; key += kTileKeys) {
        HeadPage pages[kTilePages];
        bool seen[kTilePages] = {};
        int64_t columns = 0;
        for (int64_t p = 0; p < kTilePages && key + p * kPageKeys < end; ++p) {
            const int64_t page_key = key + p * kPageKeys;
            seen[p] = any_sees(call, first_row, last_row, page_key, std::min(page_key + kPageKeys, end));
            if (!seen[p]) continue;
            if (!gathered) gather_queries(call, head, first, count, work.queries);
            gathered = true;
            columns = (p + 1) * kPageKeys;
            pages[p] = head_page(call, head, page_key / kPageKeys, work.staging + p * staging_bytes(call));
            multiply_keys(call, work.queries, count, pages[p], work.tile + p * kPageKeys, kTileKeys);
        }
        if (columns == 0) continue;
        weigh(call, plan, work, first, count, key, columns, partial);
        for (int64_t p = 0; p < columns / kPageKeys; ++p)
            if (seen[p])
                multiply_values(call, plan, work, count, p, std::min(kPageKeys, end - key - p * kPageKeys), pages[p],
                                partial.out);
    }
}

/** Adds the spans of one block, partial results `base` and following, in their order and writes the output. */
void finish(const AttentionCall& call, const Plan& plan, float* partials, int64_t base, int64_t head, int64_t block) {
    const int64_t first = block * kQueryBlock, count = std::min(kQueryBlock, plan.flat_rows - first);
    for (int64_t i = 0; i < count; ++i) {
        float maximum = kNone;
        for (int64_t s = 0; s < plan.spans; ++s)
            maximum = std::max(maximum, plan.partial(partials, base + s).maximum[i]);
        const int64_t row = (first + i) / call.group, h = head * call.group + (first + i) % call.group;
        float* out = call.out.data<float>() + row * call.out.strides[0] + h * call.out.strides[1];
        const Partial target = plan.partial(partials, base);
        float* sums = target.out + i * plan.stride;
        float total = 0.0f;
        for (int64_t s = 0; s < plan.spans; ++s) {
            const Partial part = plan.partial(partials, base + s);
            // A row that saw nothing in this span keeps its zeros; NaN logits go on.
            const float factor = part.maximum[i] == kNone ? 0.0f : std::exp(part.maximum[i] - maximum);
            total += part.sum[i] * factor;
            const float* values = part.out + i * plan.stride;
            if (s == 0) {
                if (factor != 1.0f) call.kernels->scale(sums, factor, sums, plan.stride);
            } else {
                call.kernels->add(sums, values, factor, sums, plan.stride);
            }
        }
        if (total == 0.0f) {
            std::fill(out, out + call.layout.value_dim, 0.0f);
        } else {
            call.kernels->scale(sums, 1.0f / total, out, call.layout.value_dim);
        }
    }
}

void run_attention(State& state, const AttentionCall& call) {
    const Plan plan = make_plan(call);
    const int64_t blocks = call.layout.kv_heads * plan.blocks, items = blocks * plan.spans;
    const int64_t item_bytes = aligned(work_bytes(call));
    const bool split = plan.spans > 1;
    std::unique_ptr<ScratchBuffer> partials;
    if (split)
        partials = std::make_unique<ScratchBuffer>(state.scratch, checked_product(items, plan.partial_floats(), 4));
    state.pool.parallel_for(0, items, 1, [&](int64_t begin, int64_t end) {
        const int64_t own = split ? 0 : aligned(plan.partial_floats() * 4);
        const ScratchBuffer buffer(state.scratch, item_bytes + own);
        const Work work = split_work(call, buffer.as<std::byte>() + own);
        for (int64_t item = begin; item < end; ++item) {
            const int64_t block = item / plan.spans, span = item % plan.spans;
            float* memory = split ? partials->as<float>() : buffer.as<float>();
            const int64_t head = block / plan.blocks;
            run_span(call, plan, head, block % plan.blocks, span, work, plan.partial(memory, split ? item : 0));
            if (!split) finish(call, plan, memory, 0, head, block % plan.blocks);
        }
    });
    if (!split) return;
    state.pool.parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t block = begin; block < end; ++block)
            finish(call, plan, partials->as<float>(), block * plan.spans, block / plan.blocks, block % plan.blocks);
    });
}

}  // namespace

vlm_status attention(const vlm_compute* self, const vlm_run_context* run, const vlm_attention* args) {
    return guarded(self, run, Op::attention, [&](State& state) {
        if (args == nullptr) throw invalid_argument("args is NULL");
        AttentionCall call;
        prepare_attention(state, *args, call);
        if (call.rows > 0) run_attention(state, call);
        write_weights(state, call);
        uint64_t seen = 0;
        for (size_t i = 0; i < call.begin.size(); ++i)
            if (call.end[i] > call.begin[i]) seen += static_cast<uint64_t>(call.end[i] - call.begin[i]);
        state.count_flops(Op::attention, 2 * seen * static_cast<uint64_t>(call.heads) *
                                             static_cast<uint64_t>(call.layout.head_dim + call.layout.value_dim));
    });
}

}  // namespace vlm::cpu
