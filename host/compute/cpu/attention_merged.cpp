/** @file attention_merged.cpp
 *  See attention_merged.hpp.
 */
#include "host/compute/cpu/attention_merged.hpp"

#include <algorithm>
#include <bit>

namespace vlm::cpu {

namespace {

/** The positions of every row of the cache: those of row r are `of_row[begin[r], begin[r + 1])`, rising. */
struct Positions {
    std::vector<int32_t> begin, of_row;
    int64_t rows() const { return static_cast<int64_t>(begin.size()) - 1; }
};

Positions positions_of(const AttentionCall& call) {
    const int32_t* row_of = call.key_rows.data<int32_t>();
    Positions positions;
    positions.begin.assign(static_cast<size_t>(*std::max_element(row_of, row_of + call.keys)) + 2, 0);
    for (int64_t p = 0; p < call.keys; ++p) ++positions.begin[static_cast<size_t>(row_of[p]) + 1];
    for (size_t r = 1; r < positions.begin.size(); ++r) positions.begin[r] += positions.begin[r - 1];
    positions.of_row.resize(static_cast<size_t>(call.keys));
    auto next = positions.begin;
    for (int64_t p = 0; p < call.keys; ++p)
        positions.of_row[static_cast<size_t>(next[static_cast<size_t>(row_of[p])]++)] = static_cast<int32_t>(p);
    return positions;
}

const std::byte* head_of(const AttentionCall& call, int64_t head, int64_t row) {
    return call.pages[static_cast<size_t>(row / kPageKeys)] + head * call.stored.head_bytes();
}

/** A panel of keys, `[32][head_dim]` f32: they lie side by side in the cache and are wanted one by one. */
void unfold_keys(const AttentionCall& call, int64_t head, int64_t first, float* keys) {
    const PageLayout& layout = call.stored;
    const std::byte* panel =
        head_of(call, head, first) + layout.key_index(first % kPageKeys, 0) * layout.element_bytes();
    const int64_t dim = layout.head_dim;
    if (!layout.pairs()) {
        const auto* lines = reinterpret_cast<const float*>(panel);
        for (int64_t c = 0; c < kPanel; ++c)
            for (int64_t d = 0; d < dim; ++d) keys[c * dim + d] = lines[d * kPanel + c];
        return;
    }
    const auto* lines = reinterpret_cast<const uint32_t*>(panel);
    for (int64_t c = 0; c < kPanel; ++c) {
        float* key = keys + c * dim;
        for (int64_t d = 0; d < dim; d += 2) {
            const uint32_t pair = lines[d / 2 * kPanel + c];
            key[d] = std::bit_cast<float>(pair << 16);
            if (d + 1 < dim) key[d + 1] = std::bit_cast<float>(pair & 0xFFFF0000u);
        }
    }
}

/** Queries of all heads, those of a key head together: `[kv_heads][rows * group][head_dim]` f32. */
void copy_queries(const AttentionCall& call, float* queries) {
    const int64_t dim = call.layout.head_dim, of_head = call.rows * call.group;
    for (int64_t i = 0; i < call.layout.kv_heads * of_head; ++i) {
        const int64_t head = i / of_head, row = i % of_head / call.group, member = i % call.group;
        const float* source =
            call.q.data<const float>() + row * call.q.strides[0] + (head * call.group + member) * call.q.strides[1];
        for (int64_t d = 0; d < dim; ++d) queries[i * dim + d] = source[d * call.q.strides[2]];
    }
}

/** Logits of the positions of rows [first, first + 32) of the cache: `[rows * group][keys]` for one key head, whose
 * `queries` these are. */
void write_logits(const AttentionCall& call, const Positions& positions, int64_t head, int64_t first,
                  const float* queries, float* memory, float* logits) {
    const int64_t dim = call.layout.head_dim;
    float* keys = memory;
    float* products = keys + kPanel * dim;
    unfold_keys(call, head, first, keys);
    MergedKey m{};
    m.dim = dim;
    m.rotary = call.rotary;
    m.by_cos = products;
    m.by_sin = products + call.rotary;
    if (call.rotary > 0) {
        m.cos = call.key_cos.data<float>();
        m.sin = call.key_sin.data<float>();
    }
    for (int64_t row = first; row < std::min(first + kPanel, positions.rows()); ++row) {
        const auto r = static_cast<size_t>(row);
        m.positions = positions.of_row.data() + positions.begin[r];
        m.count = positions.begin[r + 1] - positions.begin[r];
        m.key = keys + (row - first) * dim;
        for (int64_t i = 0; i < call.rows * call.group && m.count > 0; ++i) {
            m.query = queries + i * dim;
            m.logits = logits + i * call.keys;
            call.kernels->merged_logits(m);
        }
    }
}

/** Logits of a query row become one weight per row of the cache, in `weights[rows of the cache]`; returns their sum. */
float fold_weights(const AttentionCall& call, int64_t query, float* logits, float* weights) {
    const int64_t row = query / call.group;
    const int64_t low = call.begin[static_cast<size_t>(row)], high = call.end[static_cast<size_t>(row)];
    if (low >= high) return 0.0f;
    SoftmaxStep step = softmax_over(call, row, low, high, logits + low);
    call.kernels->softmax_step(step);
    const int32_t* row_of = call.key_rows.data<int32_t>();
    for (int64_t p = low; p < high; ++p) weights[row_of[p]] += logits[p];
    return step.sum;
}

/** The output of all query rows of a key head from their logits. */
void write_output(const AttentionCall& call, int64_t head, int64_t stored, float* logits, float* memory) {
    const PageLayout& layout = call.stored;
    const int64_t queries = call.rows * call.group, width = layout.value_panels() * kPanel;
    float* weights = memory;
    float* sums = weights + queries * stored;
    float* out = sums + queries;
    std::fill(weights, weights + queries * stored, 0.0f);
    for (int64_t i = 0; i < queries; ++i) sums[i] = fold_weights(call, i, logits + i * call.keys, weights + i * stored);
    for (int64_t first = 0; first < stored; first += kPageKeys) {
        const std::byte* values = head_of(call, head, first) + layout.key_bytes();
        const int64_t count = std::min(kPageKeys, stored - first);
        for (int64_t p = 0; p < layout.value_panels(); ++p) {
            const std::byte* panel = values + p * kPageKeys * kPanel * layout.element_bytes();
            float* c = out + p * kPanel;
            if (layout.pairs())
                call.kernels->gemm_f32_bf16(weights + first, stored, reinterpret_cast<const uint16_t*>(panel), count, c,
                                            width, queries, first > 0);
            else
                call.kernels->gemm_f32(weights + first, stored, reinterpret_cast<const float*>(panel), count, c, width,
                                       queries, first > 0);
        }
    }
    for (int64_t i = 0; i < queries; ++i) {
        float* target = call.out.data<float>() + i / call.group * call.out.strides[0] +
                        (head * call.group + i % call.group) * call.out.strides[1];
        // A row that sees nothing has a sum of zero; NaN goes on.
        if (sums[i] == 0.0f)
            std::fill(target, target + layout.value_dim, 0.0f);
        else
            call.kernels->scale(out + i * width, 1.0f / sums[i], target, layout.value_dim);
    }
}

}  // namespace

bool folds_keys(const AttentionCall& call) {
    return call.key_rows.bytes != nullptr && call.rows > 0 && call.rows <= kFewRows &&
           call.stored.type == call.layout.type && call.last_row_scores.bytes == nullptr &&
           call.weights.bytes == nullptr;
}

void run_merged(State& state, const AttentionCall& call) {
    const Positions positions = positions_of(call);
    const int64_t stored = positions.rows(), panels = (stored + kPanel - 1) / kPanel;
    const int64_t heads = call.layout.kv_heads, queries = call.rows * call.group, dim = call.layout.head_dim;
    const int64_t head_logits = checked_product(queries, call.keys);
    const int64_t head_queries = checked_product(queries, dim);
    const ScratchBuffer logits(state.scratch, checked_product(checked_product(head_logits, heads), sizeof(float)));
    const ScratchBuffer copied(state.scratch, checked_product(checked_product(head_queries, heads), sizeof(float)));
    copy_queries(call, copied.as<float>());
    state.pool.parallel_for(0, heads * panels, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer memory(state.scratch, checked_product(kPanel * dim + 2 * call.rotary, 4));
        for (int64_t i = begin; i < end; ++i) {
            const int64_t head = i / panels;
            write_logits(call, positions, head, i % panels * kPanel, copied.as<float>() + head * head_queries,
                         memory.as<float>(), logits.as<float>() + head * head_logits);
        }
    });
    state.pool.parallel_for(0, heads, 1, [&](int64_t begin, int64_t end) {
        const int64_t width = call.stored.value_panels() * kPanel;
        const ScratchBuffer memory(state.scratch, checked_product(checked_product(queries, stored + 1 + width), 4));
        for (int64_t head = begin; head < end; ++head)
            write_output(call, head, stored, logits.as<float>() + head * head_logits, memory.as<float>());
    });
}

}  // namespace vlm::cpu
