/** @file attention_weights.cpp
 *  The softmax weights themselves, averaged over heads: of the last row for a token reducer, of all rows for pictures.
 * Blocked attention never holds a whole row of weights, so the rows that are asked for are computed again; one row
 * costs next to nothing, and all rows are only asked for by people who look at pictures.
 */
#include <algorithm>
#include <limits>

#include "host/compute/cpu/attention.hpp"

namespace vlm::cpu {

namespace {

/** Mean over heads of the weights of `row`, into `mean[keys]`. `memory` holds what row_bytes says. */
void row_weights(const AttentionCall& call, int64_t row, float* mean, std::byte* memory) {
    const auto r = static_cast<size_t>(row);
    const int64_t low = call.begin[r], high = call.end[r];
    std::fill(mean, mean + call.keys, 0.0f);
    if (low >= high) return;
    const int64_t pages = (call.keys + kPageKeys - 1) / kPageKeys, ld = pages * kPageKeys;
    auto* logits = reinterpret_cast<float*>(memory);
    memory += call.group * ld * 4;
    void* queries = memory;
    std::byte* staging = memory + (call.group * query_stride(call) * 4 + 63) / 64 * 64;
    for (int64_t head = 0; head < call.layout.kv_heads; ++head) {
        gather_queries(call, head, row * call.group, call.group, queries);
        for (int64_t page = low / kPageKeys; page * kPageKeys < high; ++page)
            multiply_keys(call, queries, call.group, head_page(call, head, page, staging), logits + page * kPageKeys,
                          ld);
        for (int64_t g = 0; g < call.group; ++g) {
            SoftmaxStep step = softmax_over(call, row, low, high, logits + g * ld + low);
            call.kernels->softmax_step(step);
            if (step.sum == 0.0f) continue;
            call.kernels->add(mean + low, step.logits, 1.0f / (step.sum * static_cast<float>(call.heads)), mean + low,
                              step.n);
        }
    }
}

int64_t row_bytes(const AttentionCall& call) {
    const int64_t pages = (call.keys + kPageKeys - 1) / kPageKeys;
    const int64_t floats = checked_product(call.group, pages * kPageKeys + query_stride(call));
    return checked_product(floats, 4) + staging_bytes(call) + 256;
}

}  // namespace

SoftmaxStep softmax_over(const AttentionCall& call, int64_t row, int64_t low, int64_t high, float* logits) {
    SoftmaxStep step{};
    step.logits = logits;
    step.n = high - low;
    step.scale = call.scale;
    step.softcap = call.softcap;
    step.bias = call.key_bias.bytes != nullptr ? call.key_bias.data<float>() + low : nullptr;
    step.mask = call.mask.bytes != nullptr ? call.mask.data<uint8_t>() + row * call.keys + low : nullptr;
    step.maximum = -std::numeric_limits<float>::infinity();
    return step;
}

void write_weights(State& state, const AttentionCall& call) {
    if (call.keys == 0) return;
    if (call.last_row_scores.bytes != nullptr) {
        if (call.rows == 0) throw invalid_argument("last_row_scores is asked for, but there are no rows");
        const ScratchBuffer memory(state.scratch, row_bytes(call));
        row_weights(call, call.rows - 1, call.last_row_scores.data<float>(), memory.as<std::byte>());
    }
    if (call.weights.bytes == nullptr) return;
    state.pool.parallel_for(0, call.rows, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer memory(state.scratch, row_bytes(call));
        for (int64_t row = begin; row < end; ++row)
            row_weights(call, row, call.weights.data<float>() + row * call.keys, memory.as<std::byte>());
    });
}

}  // namespace vlm::cpu
