/** @file attention_decode.cu
 *  Attention of single rows over long caches in bf16, for all sequences of a step at once. All that counts is reading
 * keys and values at the speed of memory: a key is read by as many lanes as it has pieces of 16 bytes, each lane has
 * eight pieces under way, and every piece serves all query heads of its group. Lanes that share a key have a running
 * softmax of their own (Milakov and Gimelshein, arXiv 1805.02867), so nothing is exchanged inside the loop but the sums
 * of a product. Long caches are cut into spans, joined in their order (FlashDecoding).
 *
 *  The key and value of the row itself are taken from where the projection left them, and stored in the cache on the
 * way.
 */
#include "host/compute/cuda/attention_kernels.hpp"
#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

namespace {

/** Joins running softmaxes: `parts` has `count` of them, `distance` floats apart, each maximum, sum and `dim` values.
 * Writes the outputs, or, with `partial`, what a later join needs. */
template <class Block>
VLM_HD void join(Block& block, const float* parts, int count, int64_t distance, int64_t dim, Bf16* out,
                 float* partial) {
    float maximum = -infinity(), total = 0.0f;
    for (int p = 0; p < count; ++p) maximum = fmaxf(maximum, parts[p * distance]);
    for (int p = 0; p < count; ++p) {
        const float* part = parts + p * distance;
        if (part[0] != -infinity()) total += part[1] * expf(part[0] - maximum);
    }
    for (int64_t d = block.thread(); d < dim; d += block.threads()) {
        float sum = 0.0f;
        for (int p = 0; p < count; ++p) {
            const float* part = parts + p * distance;
            if (part[0] != -infinity()) sum += part[2 + d] * expf(part[0] - maximum);
        }
        if (partial != nullptr) {
            partial[2 + d] = sum;
        } else {
            from_float(total == 0.0f ? 0.0f : sum / total, out[d]);
        }
    }
    if (partial != nullptr && block.thread() == 0) {
        partial[0] = maximum;
        partial[1] = total;
    }
}

template <int kDim, int kGroup>
struct DecodeSpan {
    static constexpr int kThreads = 128;
    using NeedsWarps = void;
    static constexpr int kLanesOfKey = kDim / 8;
    static constexpr int kKeysAtOnce = kThreads / kLanesOfKey;
    static constexpr int kBatch = 4;
    static constexpr int kPart = kDim + 2;
    static constexpr int64_t kSharedBytes = int64_t{kKeysAtOnce} * kGroup * kPart * 4;
    DecodeBatch b;

    /** Where key or value `j` of a head lies. */
    VLM_HD const Bf16* key(const AttentionCall& c, int64_t kv_head, int64_t j) const {
        if (c.fresh != 0 && j == c.source.stored - 1)
            return static_cast<const Bf16*>(c.source.k) + kv_head * c.source.k_head;
        return c.source.template key<Bf16>(kv_head, j);
    }
    VLM_HD const Bf16* value(const AttentionCall& c, int64_t kv_head, int64_t j) const {
        if (c.fresh != 0 && j == c.source.stored - 1)
            return static_cast<const Bf16*>(c.source.v) + kv_head * c.source.v_head;
        return c.source.template value<Bf16>(kv_head, j);
    }

    /** Stores the key and value of the row itself. Nobody reads them from there in this launch. */
    VLM_HD void store_fresh(const AttentionCall& c, int64_t kv_head, int64_t d) const {
        const int64_t j = c.source.stored - 1;
        if (d < c.source.head_dim)
            store_vector(const_cast<Bf16*>(c.source.template key<Bf16>(kv_head, j)) + d,
                         load_vector(key(c, kv_head, j) + d));
        if (d < c.source.value_dim)
            store_vector(const_cast<Bf16*>(c.source.template value<Bf16>(kv_head, j)) + d,
                         load_vector(value(c, kv_head, j) + d));
    }

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t span = block.index() % b.spans, rest = block.index() / b.spans;
        const int64_t chunk = rest % b.group_chunks, pair = rest / b.group_chunks;
        const int64_t number = pair / b.one.source.kv_heads, kv_head = pair % b.one.source.kv_heads;
        const AttentionCall c = b.call(number);
        const int64_t first_head = kv_head * c.group + chunk * kGroup, left = c.group - chunk * kGroup;
        const int heads = left < kGroup ? static_cast<int>(left) : kGroup;
        const int64_t span_begin = span * b.span_keys, span_end = span_begin + b.span_keys;
        int64_t low, high;
        c.visible(0, &low, &high);
        low = low < span_begin ? span_begin : low;
        high = high > span_end ? span_end : high;
        const int64_t d = block.thread() % kLanesOfKey * 8;
        const int slot = block.thread() / kLanesOfKey;
        const bool has_key = d < c.source.head_dim, has_value = d < c.source.value_dim;
        const int64_t newest = c.source.stored - 1;
        if (c.fresh != 0 && chunk == 0 && slot == 0 && newest >= span_begin && newest < span_end)
            store_fresh(c, kv_head, d);

        float q[kGroup][8], sums[kGroup][8], maximum[kGroup], total[kGroup];
        VLM_UNROLL
        for (int g = 0; g < kGroup; ++g) {
            const Bf16* from = static_cast<const Bf16*>(c.q) + (first_head + (g < heads ? g : 0)) * c.q_head + d;
            maximum[g] = -infinity();
            total[g] = 0.0f;
            VLM_UNROLL
            for (int i = 0; i < 8; ++i) {
                q[g][i] = has_key ? to_float(from[i]) : 0.0f;
                sums[g][i] = 0.0f;
            }
        }
        for (int64_t first = low; first < high; first += kKeysAtOnce * kBatch) {
            Vector keys[kBatch], values[kBatch];
            VLM_UNROLL
            for (int n = 0; n < kBatch; ++n) {
                const int64_t j = first + n * kKeysAtOnce + slot;
                keys[n] = values[n] = Vector{{0, 0, 0, 0}};
                if (j < high && has_key) keys[n] = load_once(key(c, kv_head, j) + d);
                if (j < high && has_value) values[n] = load_once(value(c, kv_head, j) + d);
            }
            float logits[kBatch][kGroup];
            VLM_UNROLL
            for (int n = 0; n < kBatch; ++n) {
                const int64_t j = first + n * kKeysAtOnce + slot;
                float k[8];
                expand(&keys[n], k, Bf16{});
                VLM_UNROLL
                for (int g = 0; g < kGroup; ++g) {
                    float product = 0.0f;
                    VLM_UNROLL
                    for (int i = 0; i < 8; ++i) product += q[g][i] * k[i];
                    product = block.template group_sum<kLanesOfKey>(product);
                    logits[n][g] = j < high ? c.logit(product, j) : -infinity();
                }
            }
            VLM_UNROLL
            for (int g = 0; g < kGroup; ++g) {
                float top = maximum[g];
                VLM_UNROLL
                for (int n = 0; n < kBatch; ++n) top = fmaxf(top, logits[n][g]);
                const bool none = top == -infinity();
                const float correction = none ? 1.0f : expf(maximum[g] - top);
                maximum[g] = top;
                total[g] *= correction;
                VLM_UNROLL
                for (int i = 0; i < 8; ++i) sums[g][i] *= correction;
                VLM_UNROLL
                for (int n = 0; n < kBatch; ++n) {
                    logits[n][g] = none ? 0.0f : expf(logits[n][g] - top);
                    total[g] += logits[n][g];
                }
            }
            VLM_UNROLL
            for (int n = 0; n < kBatch; ++n) {
                float v[8];
                expand(&values[n], v, Bf16{});
                VLM_UNROLL
                for (int g = 0; g < kGroup; ++g) {
                    VLM_UNROLL
                    for (int i = 0; i < 8; ++i) sums[g][i] += logits[n][g] * v[i];
                }
            }
        }
        float* parts = block.template shared<float>();
        VLM_UNROLL
        for (int g = 0; g < kGroup; ++g) {
            float* part = parts + (slot * kGroup + g) * kPart;
            if (d == 0) {
                part[0] = maximum[g];
                part[1] = total[g];
            }
            VLM_UNROLL
            for (int i = 0; i < 8; ++i) part[2 + d + i] = sums[g][i];
        }
        block.sync();
        const int64_t dim = c.source.value_dim;
        for (int g = 0; g < heads; ++g) {
            const int64_t head = first_head + g;
            float* partial =
                b.spans > 1 ? b.partials + ((number * c.heads + head) * b.spans + span) * (dim + 2) : nullptr;
            join(block, parts + g * kPart, kKeysAtOnce, int64_t{kGroup} * kPart, dim,
                 static_cast<Bf16*>(c.out) + head * c.out_head, partial);
        }
    }
};

/** Joins the spans of one head of one call. */
struct JoinDecodes {
    static constexpr int kThreads = 128;
    DecodeBatch b;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t number = block.index() / b.one.heads, head = block.index() % b.one.heads;
        const AttentionCall c = b.call(number);
        const int64_t part = c.source.value_dim + 2;
        join(block, b.partials + block.index() * b.spans * part, static_cast<int>(b.spans), part, c.source.value_dim,
             static_cast<Bf16*>(c.out) + head * c.out_head, nullptr);
    }
};

template <int kDim, int kGroup>
void go(const Queue& queue, const DecodeBatch& batch) {
    using Body = DecodeSpan<kDim, kGroup>;
    const int64_t blocks = batch.count * batch.one.source.kv_heads * batch.group_chunks * batch.spans;
    launch(queue, "attention", {blocks, Body::kSharedBytes}, Body{batch});
}

template <int kDim>
void with_group(const Queue& queue, const DecodeBatch& batch) {
    if (batch.one.group == 1) return go<kDim, 1>(queue, batch);
    if (batch.one.group <= 4) return go<kDim, 4>(queue, batch);
    go<kDim, 8>(queue, batch);
}

/** Blocks that fill a GPU. */
constexpr int64_t kBlocks = 528;
/** Fewest keys of a span. */
constexpr int64_t kSpanKeys = 64;

}  // namespace

void plan_decodes(DecodeBatch& batch, int64_t most_keys) {
    const AttentionCall& c = batch.one;
    const int64_t heads_at_once = c.group == 1 ? 1 : c.group <= 4 ? 4 : 8;
    batch.group_chunks = divide_up(c.group, heads_at_once);
    const int64_t wanted = divide_up(kBlocks, batch.count * c.source.kv_heads * batch.group_chunks);
    const int64_t most = divide_up(most_keys > 0 ? most_keys : 1, kSpanKeys);
    batch.spans = wanted < most ? wanted : most;
    batch.span_keys = divide_up(most_keys > 0 ? most_keys : 1, batch.spans);
    batch.partial_floats = batch.spans > 1 ? batch.count * c.heads * batch.spans * (c.source.value_dim + 2) : 0;
}

void launch_decodes(const Queue& queue, const DecodeBatch& batch) {
    const KeySource& s = batch.one.source;
    const int64_t dim = s.head_dim > s.value_dim ? s.head_dim : s.value_dim;
    if (dim <= 64) {
        with_group<64>(queue, batch);
    } else if (dim <= 128) {
        with_group<128>(queue, batch);
    } else {
        with_group<256>(queue, batch);
    }
    if (batch.spans > 1) launch(queue, "attention", {batch.count * batch.one.heads}, JoinDecodes{batch});
}

}  // namespace vlm::cuda
