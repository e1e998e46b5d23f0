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

#include "host/compute/cpu/attention_merged.hpp"
#include "host/compute/cpu/attention_plan.hpp"
#include "host/compute/cpu/table.hpp"

namespace vlm::cpu {

namespace {

AttentionPlan make_plan(const AttentionCall& call) {
    AttentionPlan plan;
    plan.flat_rows = call.rows * call.group;
    plan.blocks = (plan.flat_rows + kQueryBlock - 1) / kQueryBlock;
    const int64_t pages = (call.keys + kPageKeys - 1) / kPageKeys;
    plan.span_pages = call.rows <= kFewRows ? kTilePages : std::max<int64_t>(pages, 1);
    plan.spans = std::max<int64_t>(1, (pages + plan.span_pages - 1) / plan.span_pages);
    plan.stride = call.layout.value_panels() * kPanel;
    return plan;
}

int64_t aligned(int64_t bytes) {
    return (bytes + 63) / 64 * 64;
}

int64_t work_bytes(const AttentionCall& call) {
    return aligned(kQueryBlock * query_stride(call) * 4) + kTilePages * staging_bytes(call) +
           kQueryBlock * kTileKeys * (4 + 2) + 2 * kTileKeys * 4;
}

AttentionWork split_work(const AttentionCall& call, std::byte* memory) {
    AttentionWork work{};
    work.tile = reinterpret_cast<float*>(memory);
    memory += kQueryBlock * kTileKeys * 4;
    work.rounded = reinterpret_cast<uint16_t*>(memory);
    memory += kQueryBlock * kTileKeys * 2;
    work.scales = reinterpret_cast<float*>(memory);
    memory += 2 * kTileKeys * 4;
    work.queries = memory;
    work.staging = memory + aligned(kQueryBlock * query_stride(call) * 4);
    return work;
}

/** One block of query rows over one span of keys. */
void run_span(const AttentionCall& call, const AttentionPlan& plan, int64_t head, int64_t block, int64_t span,
              const AttentionWork& work, const Partial& partial) {
    AttentionItem item{};
    item.head = head;
    item.first = block * kQueryBlock;
    item.count = std::min(kQueryBlock, plan.flat_rows - item.first);
    item.first_row = item.first / call.group;
    item.last_row = (item.first + item.count - 1) / call.group;
    item.begin = span * plan.span_pages * kPageKeys;
    item.end = std::min(call.keys, item.begin + plan.span_pages * kPageKeys);
    std::fill(partial.maximum, partial.maximum + item.count, kNone);
    std::fill(partial.sum, partial.sum + item.count, 0.0f);
    std::fill(partial.out, partial.out + item.count * plan.stride, 0.0f);
    (call.bf16_products ? run_span_bf16 : run_span_f32)(call, plan, item, work, partial);
}

/** Adds the spans of one block, partial results `base` and following, in their order and writes the output. */
void finish(const AttentionCall& call, const AttentionPlan& plan, float* partials, int64_t base, int64_t head,
            int64_t block) {
    const int64_t first = block * kQueryBlock, count = std::min(kQueryBlock, plan.flat_rows - first);
    const auto row_of_out = [&](int64_t i) {
        const int64_t row = (first + i) / call.group, h = head * call.group + (first + i) % call.group;
        return call.out.data<float>() + row * call.out.strides[0] + h * call.out.strides[1];
    };
    // Rows of the output lie far apart, and writing waits for them to come.
    constexpr int64_t kLine = 16, kRowsAhead = 8;
    for (int64_t i = 0; i < count; ++i) {
        for (int64_t d = 0; d < call.layout.value_dim && i + kRowsAhead < count; d += kLine)
            __builtin_prefetch(row_of_out(i + kRowsAhead) + d, 1);
        float maximum = kNone;
        for (int64_t s = 0; s < plan.spans; ++s)
            maximum = std::max(maximum, plan.partial(partials, base + s).maximum[i]);
        float* out = row_of_out(i);
        const Partial target = plan.partial(partials, base);
        float* sums = target.out + i * plan.stride;
        float total = 0.0f;
        for (int64_t s = 0; s < plan.spans; ++s) {
            const Partial part = plan.partial(partials, base + s);
            // A row that saw nothing in this span keeps its zeros; NaN logits go on.
            const float factor = part.maximum[i] == kNone     ? 0.0f
                                 : part.maximum[i] == maximum ? 1.0f
                                                              : std::exp(part.maximum[i] - maximum);
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
    const AttentionPlan plan = make_plan(call);
    const int64_t blocks = call.layout.kv_heads * plan.blocks, items = blocks * plan.spans;
    const int64_t item_bytes = aligned(work_bytes(call));
    const bool split = plan.spans > 1;
    std::unique_ptr<ScratchBuffer> partials;
    if (split)
        partials = std::make_unique<ScratchBuffer>(state.scratch, checked_product(items, plan.partial_floats(), 4));
    state.pool.parallel_for(0, items, 1, [&](int64_t begin, int64_t end) {
        const int64_t own = split ? 0 : aligned(plan.partial_floats() * 4);
        const ScratchBuffer buffer(state.scratch, item_bytes + own);
        const AmxScope tiles(call.amx);
        const AttentionWork work = split_work(call, buffer.as<std::byte>() + own);
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

/** Many rows over virtual keys. Some key heads at a time: their pages are made once, are still in the cache when all
 * blocks of rows read them, and memory does not grow with the number of heads. */
void run_by_heads(State& state, AttentionCall& call) {
    constexpr int64_t kBytesAtOnce = int64_t{4} << 20;
    const AttentionPlan plan = make_plan(call);
    const int64_t pages = call.page_count(), page_bytes = aligned(call.layout.head_bytes());
    const int64_t row_bytes = aligned(std::max(call.layout.head_dim, call.layout.value_dim) * 4);
    const int64_t head_bytes = checked_product(pages, page_bytes);
    const int64_t heads = std::clamp<int64_t>(kBytesAtOnce / std::max<int64_t>(head_bytes, 1), 1, call.layout.kv_heads);
    const ScratchBuffer ready(state.scratch, std::max<int64_t>(checked_product(head_bytes, heads), 1));
    for (int64_t first = 0; first < call.layout.kv_heads; first += heads) {
        const int64_t count = std::min(heads, call.layout.kv_heads - first);
        state.pool.parallel_for(0, count * pages, 1, [&](int64_t begin, int64_t end) {
            const ScratchBuffer row(state.scratch, row_bytes);
            for (int64_t i = begin; i < end; ++i)
                gather_page(call, first + i / pages, i % pages, ready.as<std::byte>() + i * page_bytes,
                            row.as<float>());
        });
        call.ready = ready.as<std::byte>();
        call.ready_head = first;
        const int64_t own = aligned(plan.partial_floats() * 4);
        state.pool.parallel_for(0, count * plan.blocks, 1, [&](int64_t begin, int64_t end) {
            const ScratchBuffer buffer(state.scratch, aligned(work_bytes(call)) + own);
            const AmxScope tiles(call.amx);
            const AttentionWork work = split_work(call, buffer.as<std::byte>() + own);
            for (int64_t i = begin; i < end; ++i) {
                const int64_t head = first + i / plan.blocks, block = i % plan.blocks;
                run_span(call, plan, head, block, 0, work, plan.partial(buffer.as<float>(), 0));
                finish(call, plan, buffer.as<float>(), 0, head, block);
            }
        });
        call.ready = nullptr;
    }
}

}  // namespace

vlm_status attention(const vlm_compute* self, const vlm_run_context* run, const vlm_attention* args) {
    return guarded(self, run, Op::attention, [&](State& state) {
        if (args == nullptr) throw invalid_argument("args is NULL");
        AttentionCall call;
        prepare_attention(state, *args, call);
        if (folds_keys(call)) {
            run_merged(state, call);
        } else if (call.virtual_keys() && call.rows > kFewRows) {
            run_by_heads(state, call);
        } else if (call.rows > 0) {
            run_attention(state, call);
        }
        write_weights(state, call);
        uint64_t seen = 0;
        for (size_t i = 0; i < call.begin.size(); ++i)
            if (call.end[i] > call.begin[i]) seen += static_cast<uint64_t>(call.end[i] - call.begin[i]);
        state.count_flops(Op::attention, 2 * seen * static_cast<uint64_t>(call.heads) *
                                             static_cast<uint64_t>(call.layout.head_dim + call.layout.value_dim));
    });
}

}  // namespace vlm::cpu
