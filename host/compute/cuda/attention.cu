/** @file attention.cu
 *  Attention for any call, with an online softmax (Milakov and Gimelshein, arXiv 1805.02867): decoding, virtual keys,
 * f32, dense masks. A block takes one row and up to four heads that share their keys; its warps take keys in turn, four
 * at a time, and lanes share the elements of a head, so that every key is read once, in whole lines. With few rows the
 * keys are cut into spans that run in parallel, joined in their order (FlashDecoding).
 */
#include "host/compute/cuda/attention_kernels.hpp"
#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

namespace {

/** Fewest keys of a span: a block takes 16 at once, and each turn takes the way to memory and back. */
constexpr int64_t kSpanKeys = 64;
/** Blocks from which on the GPU is full without cutting the keys. */
constexpr int64_t kFullBlocks = 1024;

/** Heads of a group that one block takes. */
int64_t heads_per_block(const AttentionCall& call) {
    return call.group > 1 ? 4 : 1;
}

template <class T, int kDim, int kGroup>
struct AttentionSpan {
    static constexpr int kThreads = 128;
    static constexpr int kBatch = 4;
    AttentionCall c;
    AttentionPlan plan;
    float* partials;

    /** Joins the warps of the block and writes head `g`. Each warp has left maximum, sum and values in `parts`. */
    template <class Block>
    VLM_HD void finish(Block& block, const float* parts, int64_t row, int64_t head, int64_t span, int g) const {
        const int64_t dim = c.source.value_dim, stride = dim + 2;
        const float* first = parts + g * stride;
        float maximum = -infinity();
        for (int w = 0; w < block.warps(); ++w) maximum = fmaxf(maximum, first[w * kGroup * stride]);
        float total = 0.0f;
        for (int w = 0; w < block.warps(); ++w) {
            const float* part = first + w * kGroup * stride;
            total += part[0] == -infinity() ? 0.0f : part[1] * expf(part[0] - maximum);
        }
        T* out = static_cast<T*>(c.out) + row * c.out_row + head * c.out_head;
        float* partial = partials + ((row * c.heads + head) * plan.spans + span) * stride;
        for (int64_t d = block.thread(); d < dim; d += block.threads()) {
            float sum = 0.0f;
            for (int w = 0; w < block.warps(); ++w) {
                const float* part = first + w * kGroup * stride;
                if (part[0] != -infinity()) sum += part[2 + d] * expf(part[0] - maximum);
            }
            if (plan.spans == 1) {
                from_float(total == 0.0f ? 0.0f : sum / total, out[d]);
            } else {
                partial[2 + d] = sum;
            }
        }
        if (plan.spans > 1 && block.thread() == 0) {
            partial[0] = maximum;
            partial[1] = total;
        }
    }

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        constexpr int kLanes = Block::kLanes, kPerLane = kDim / kLanes;
        const int64_t dim = c.source.head_dim, value_dim = c.source.value_dim;
        const int64_t span = block.index() % plan.spans, rest = block.index() / plan.spans;
        const int64_t chunk = rest % plan.group_chunks, pair = rest / plan.group_chunks;
        const int64_t kv_head = pair % c.source.kv_heads, row = pair / c.source.kv_heads;
        const int64_t first_head = kv_head * c.group + chunk * kGroup;
        const int64_t left = c.group - chunk * kGroup;
        const int heads = left < kGroup ? static_cast<int>(left) : kGroup;
        int64_t low, high;
        c.visible(row, &low, &high);
        const int64_t span_begin = span * plan.span_keys, span_end = span_begin + plan.span_keys;
        low = low < span_begin ? span_begin : low;
        high = high > span_end ? span_end : high;

        float q[kGroup][kPerLane], sums[kGroup][kPerLane], maximum[kGroup], total[kGroup];
        VLM_UNROLL
        for (int g = 0; g < kGroup; ++g) {
            const T* source =
                static_cast<const T*>(c.q) + row * c.q_row + (first_head + (g < heads ? g : 0)) * c.q_head;
            maximum[g] = -infinity();
            total[g] = 0.0f;
            VLM_UNROLL
            for (int e = 0; e < kPerLane; ++e) {
                const int64_t d = block.lane() + e * kLanes;
                q[g][e] = d < dim ? to_float(source[d]) : 0.0f;
                sums[g][e] = 0.0f;
            }
        }
        for (int64_t j = low + block.warp() * kBatch; j < high; j += block.warps() * kBatch) {
            float logits[kGroup][kBatch];
            const T* values[kBatch];
            VLM_UNROLL
            for (int b = 0; b < kBatch; ++b) {
                const int64_t key = j + b;
                int64_t stored = key < high && !c.masked(row, key) ? c.stored_row(key) : -2;
                if (stored == -1) *c.fault = static_cast<int32_t>(Fault::key_rows);
                const T* from = stored >= 0 ? c.source.template key<T>(kv_head, stored) : nullptr;
                values[b] = stored >= 0 ? c.source.template value<T>(kv_head, stored) : nullptr;
                float products[kGroup] = {};
                VLM_UNROLL
                for (int e = 0; e < kPerLane; ++e) {
                    const int64_t d = block.lane() + e * kLanes;
                    const float element = from != nullptr && d < dim ? c.key_element(from, key, d) : 0.0f;
                    VLM_UNROLL
                    for (int g = 0; g < kGroup; ++g) products[g] += q[g][e] * element;
                }
                VLM_UNROLL
                for (int g = 0; g < kGroup; ++g) {
                    const float product = block.warp_sum(products[g]);
                    logits[g][b] = from != nullptr ? c.logit(product, key) : -infinity();
                }
            }
            float weights[kGroup][kBatch], corrections[kGroup];
            VLM_UNROLL
            for (int g = 0; g < kGroup; ++g) {
                float top = maximum[g];
                VLM_UNROLL
                for (int b = 0; b < kBatch; ++b) top = fmaxf(top, logits[g][b]);
                const bool none = top == -infinity();
                corrections[g] = none ? 1.0f : expf(maximum[g] - top);
                total[g] *= corrections[g];
                VLM_UNROLL
                for (int b = 0; b < kBatch; ++b) {
                    weights[g][b] = none ? 0.0f : expf(logits[g][b] - top);
                    total[g] += weights[g][b];
                }
                maximum[g] = top;
            }
            VLM_UNROLL
            for (int e = 0; e < kPerLane; ++e) {
                const int64_t d = block.lane() + e * kLanes;
                VLM_UNROLL
                for (int g = 0; g < kGroup; ++g) sums[g][e] *= corrections[g];
                VLM_UNROLL
                for (int b = 0; b < kBatch; ++b) {
                    const float value = values[b] != nullptr && d < value_dim ? to_float(values[b][d]) : 0.0f;
                    VLM_UNROLL
                    for (int g = 0; g < kGroup; ++g) sums[g][e] += weights[g][b] * value;
                }
            }
        }
        float* parts = block.template shared<float>();
        const int64_t stride = value_dim + 2;
        for (int g = 0; g < kGroup; ++g) {
            float* part = parts + (block.warp() * kGroup + g) * stride;
            if (block.lane() == 0) {
                part[0] = maximum[g];
                part[1] = total[g];
            }
            for (int e = 0; e < kPerLane; ++e) {
                const int64_t d = block.lane() + e * kLanes;
                if (d < value_dim) part[2 + d] = sums[g][e];
            }
        }
        block.sync();
        for (int g = 0; g < heads; ++g) finish(block, parts, row, first_head + g, span, g);
    }
};

/** Joins the spans of one row and head in their order. */
template <class T>
struct JoinSpans {
    static constexpr int kThreads = 128;
    AttentionCall c;
    int64_t spans;
    const float* partials;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t dim = c.source.value_dim, stride = dim + 2;
        const int64_t row = block.index() / c.heads, head = block.index() % c.heads;
        const float* first = partials + block.index() * spans * stride;
        float maximum = -infinity(), total = 0.0f;
        for (int64_t s = 0; s < spans; ++s) maximum = fmaxf(maximum, first[s * stride]);
        for (int64_t s = 0; s < spans; ++s) {
            const float* part = first + s * stride;
            if (part[0] != -infinity()) total += part[1] * expf(part[0] - maximum);
        }
        T* out = static_cast<T*>(c.out) + row * c.out_row + head * c.out_head;
        for (int64_t d = block.thread(); d < dim; d += block.threads()) {
            float sum = 0.0f;
            for (int64_t s = 0; s < spans; ++s) {
                const float* part = first + s * stride;
                if (part[0] != -infinity()) sum += part[2 + d] * expf(part[0] - maximum);
            }
            from_float(total == 0.0f ? 0.0f : sum / total, out[d]);
        }
    }
};

/** Weights of one row and head, into `[count * heads, keys]`. */
template <class T>
struct RowWeights {
    static constexpr int kThreads = 128;
    AttentionCall c;
    int64_t first;
    float* weights;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t row = first + block.index() / c.heads, head = block.index() % c.heads, kv_head = head / c.group;
        const T* q = static_cast<const T*>(c.q) + row * c.q_row + head * c.q_head;
        float* line = weights + block.index() * c.keys;
        int64_t low, high;
        c.visible(row, &low, &high);
        for (int64_t j = block.warp(); j < c.keys; j += block.warps()) {
            const bool sees = j >= low && j < high && !c.masked(row, j);
            const int64_t stored = sees ? c.stored_row(j) : -2;
            if (stored == -1) *c.fault = static_cast<int32_t>(Fault::key_rows);
            float product = 0.0f;
            if (stored >= 0) {
                const T* key = c.source.template key<T>(kv_head, stored);
                for (int64_t d = block.lane(); d < c.source.head_dim; d += Block::kLanes)
                    product += to_float(q[d]) * c.key_element(key, j, d);
            }
            product = block.warp_sum(product);
            if (block.lane() == 0) line[j] = stored >= 0 ? c.logit(product, j) : -infinity();
        }
        block.sync();
        float top = -infinity();
        for (int64_t j = block.thread(); j < c.keys; j += block.threads()) top = fmaxf(top, line[j]);
        const float maximum = block.max(top);
        const bool none = maximum == -infinity();
        float sum = 0.0f;
        for (int64_t j = block.thread(); j < c.keys; j += block.threads()) {
            line[j] = none ? 0.0f : expf(line[j] - maximum);
            sum += line[j];
        }
        const float total = block.sum(sum);
        for (int64_t j = block.thread(); j < c.keys; j += block.threads())
            line[j] = total == 0.0f ? 0.0f : line[j] / total;
    }
};

struct MeanOverHeads {
    const float* weights;
    int64_t heads, keys;
    float* mean;
    VLM_HD void operator()(int64_t i) const {
        const int64_t row = i / keys, key = i % keys;
        float sum = 0.0f;
        for (int64_t h = 0; h < heads; ++h) sum += weights[(row * heads + h) * keys + key];
        mean[i] = sum / static_cast<float>(heads);
    }
};

/** Copies keys and values of type T to their pages, a `Unit` at a time: elements, or 16 bytes. */
template <class T, class Unit>
struct Append {
    KeySource from;
    void* const* pages;
    int64_t length, key_units, value_units;  ///< Of one head.

    VLM_HD void operator()(int64_t i) const {
        const auto [line, unit] = split(i, key_units + value_units);
        const auto [row, head] = split(line, from.kv_heads);
        const int64_t slot = (length + row) % kPageKeys;
        auto* page = static_cast<Unit*>(pages[(length + row) / kPageKeys]);
        if (unit < key_units) {
            const auto* key = reinterpret_cast<const Unit*>(from.template key<T>(head, row));
            copy_unit(key + unit, page + (head * kPageKeys + slot) * key_units + unit);
        } else {
            const auto* value = reinterpret_cast<const Unit*>(from.template value<T>(head, row));
            page += (from.kv_heads * key_units + head * value_units) * kPageKeys + slot * value_units;
            copy_unit(value + unit - key_units, page + unit - key_units);
        }
    }
};

/** One virtual key and its value, as keys that need nothing more. */
struct Realise {
    static constexpr int kThreads = 256;
    AttentionCall c;
    Bf16* keys;
    Bf16* values;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t j = block.index(), stored = c.stored_row(j);
        const int64_t dim = c.source.head_dim, value_dim = c.source.value_dim;
        if (stored < 0 && block.thread() == 0) *c.fault = static_cast<int32_t>(Fault::key_rows);
        for (int64_t i = block.thread(); i < c.source.kv_heads * dim; i += block.threads()) {
            const float x = stored < 0 ? 0.0f : c.key_element(c.source.template key<Bf16>(i / dim, stored), j, i % dim);
            from_float(x, keys[j * c.source.kv_heads * dim + i]);
        }
        for (int64_t i = block.thread(); i < c.source.kv_heads * value_dim; i += block.threads()) {
            const int64_t head = i / value_dim, d = i % value_dim;
            values[j * c.source.kv_heads * value_dim + i] =
                stored < 0 ? Bf16{0} : c.source.template value<Bf16>(head, stored)[d];
        }
    }
};

template <class T, int kDim, int kGroup>
void launch_span(const Queue& queue, const AttentionCall& call, const AttentionPlan& plan, float* partials) {
    using Body = AttentionSpan<T, kDim, kGroup>;
    const int64_t blocks = call.rows * call.source.kv_heads * plan.group_chunks * plan.spans;
    const int64_t shared = Body::kThreads / 32 * kGroup * (call.source.value_dim + 2) * 4;
    launch(queue, "attention", {blocks, shared}, Body{call, plan, partials});
}

template <class T, int kDim>
void launch_group(const Queue& queue, const AttentionCall& call, const AttentionPlan& plan, float* partials) {
    if (call.group > 1) {
        launch_span<T, kDim, 4>(queue, call, plan, partials);
    } else {
        launch_span<T, kDim, 1>(queue, call, plan, partials);
    }
}

template <class T>
void launch_typed(const Queue& queue, const AttentionCall& call, const AttentionPlan& plan, float* partials) {
    const int64_t dim = call.source.head_dim > call.source.value_dim ? call.source.head_dim : call.source.value_dim;
    if (dim <= 64) {
        launch_group<T, 64>(queue, call, plan, partials);
    } else if (dim <= 128) {
        launch_group<T, 128>(queue, call, plan, partials);
    } else {
        launch_group<T, 256>(queue, call, plan, partials);
    }
    if (plan.spans > 1) launch(queue, "attention", {call.rows * call.heads}, JoinSpans<T>{call, plan.spans, partials});
}

}  // namespace

AttentionCall with_plain_keys(const AttentionCall& call, const void* keys, const void* values) {
    AttentionCall plain = call;
    KeySource& s = plain.source;
    s.pages = nullptr;
    s.k = keys;
    s.v = values;
    s.k_row = s.kv_heads * s.head_dim;
    s.k_head = s.head_dim;
    s.v_row = s.kv_heads * s.value_dim;
    s.v_head = s.value_dim;
    s.stored = call.keys;
    plain.key_rows = nullptr;
    plain.key_cos = plain.key_sin = nullptr;
    plain.rotary = 0;
    return plain;
}

AttentionPlan plan_attention(const AttentionCall& call) {
    AttentionPlan plan;
    plan.group_chunks = divide_up(call.group, heads_per_block(call));
    const int64_t keys = call.keys > 0 ? call.keys : 1, most = divide_up(keys, kSpanKeys);
    const int64_t wanted = divide_up(kFullBlocks, call.rows * call.source.kv_heads * plan.group_chunks);
    plan.spans = wanted < most ? wanted : most;
    plan.span_keys = divide_up(keys, plan.spans);
    if (plan.spans > 1) plan.partial_floats = call.rows * call.heads * plan.spans * (call.source.value_dim + 2);
    return plan;
}

void launch_attention(const Queue& queue, uint32_t dtype, const AttentionCall& call, const AttentionPlan& plan,
                      float* partials) {
    if (dtype == VLM_DTYPE_BF16) {
        launch_typed<Bf16>(queue, call, plan, partials);
    } else {
        launch_typed<float>(queue, call, plan, partials);
    }
}

void launch_attention_weights(const Queue& queue, uint32_t dtype, const AttentionCall& call, int64_t first,
                              int64_t count, float* scratch, float* mean) {
    if (dtype == VLM_DTYPE_BF16) {
        launch(queue, "attention", {count * call.heads}, RowWeights<Bf16>{call, first, scratch});
    } else {
        launch(queue, "attention", {count * call.heads}, RowWeights<float>{call, first, scratch});
    }
    launch_items(queue, "attention", count * call.keys, MeanOverHeads{scratch, call.heads, call.keys, mean});
}

AttentionCall launch_realise(const Queue& queue, const AttentionCall& call, void* keys, void* values) {
    launch(queue, "attention", {call.keys}, Realise{call, static_cast<Bf16*>(keys), static_cast<Bf16*>(values)});
    return with_plain_keys(call, keys, values);
}

void launch_append(const Queue& queue, uint32_t dtype, const KeySource& from, int64_t count, void* const* pages,
                   int64_t length) {
    constexpr int64_t kEach = 8;
    const bool vectors = dtype == VLM_DTYPE_BF16 && from.head_dim % kEach == 0 && from.value_dim % kEach == 0 &&
                         in_vectors(from.k, from.k_row, 2) && in_vectors(from.k, from.k_head, 2) &&
                         in_vectors(from.v, from.v_row, 2) && in_vectors(from.v, from.v_head, 2);
    const int64_t each = vectors ? kEach : 1, keys = from.head_dim / each, values = from.value_dim / each;
    const auto append = [&](auto type, auto unit) {
        launch_items(queue, "attention", count * from.kv_heads * (keys + values),
                     Append<decltype(type), decltype(unit)>{from, pages, length, keys, values});
    };
    if (vectors) {
        append(Bf16{}, Vector{});
    } else if (dtype == VLM_DTYPE_BF16) {
        append(Bf16{}, Bf16{});
    } else {
        append(float{}, float{});
    }
}

}  // namespace vlm::cuda
