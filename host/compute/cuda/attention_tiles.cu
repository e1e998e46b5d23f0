/** @file attention_tiles.cu
 *  Attention of many rows in bf16 on the tensor cores, after FlashAttention-2 (Dao, arXiv 2307.08691): a block takes 64
 * rows of one head, each of its warps 16 of them, and walks the keys 64 at a time. Logits, weights and outputs stay in
 * the registers that the products leave them in; only keys and values pass through shared memory, the next ones copied
 * while the present ones are multiplied. Sums are f32; weights are rounded to bf16 for the product with the values.
 *
 *  Register layouts are those of mma.m16n8k16: lane l holds rows l / 4 and l / 4 + 8 of a result, columns 2 (l % 4) and
 * the next.
 */
#include "host/compute/cuda/attention_kernels.hpp"
#include "host/compute/cuda/launch.hpp"
#include "host/compute/cuda/vector.hpp"

namespace vlm::cuda {

namespace {

constexpr int kTileRows = 64, kTileKeys = 64;

/** kDim: head size, a multiple of 16; smaller heads are padded with zeros. */
template <int kDim>
struct AttentionTile {
    static constexpr int kThreads = 128;
    using NeedsWarps = void;
    /** Elements of a line of shared memory; 16 bytes more than a head, so that the rows of a matrix lie in different
     * banks. */
    static constexpr int kLine = kDim + 8;
    static constexpr int kTileElements = kTileKeys * kLine;
    /** Two stages of keys and values. */
    static constexpr int64_t kSharedBytes = int64_t{4} * kTileElements * 2;
    static constexpr int kSteps = kDim / 16;       ///< Products along a head.
    static constexpr int kColumns = kDim / 8;      ///< Eights of an output.
    static constexpr int kEights = kTileKeys / 8;  ///< Eights of keys.

    AttentionCall c;
    int64_t row_tiles;

    /** Starts to copy keys and values [first, first + kTileKeys) to a stage. */
    template <class Block>
    VLM_HD void fetch(Block& block, int64_t kv_head, int64_t first, int64_t end, Bf16* stage) const {
        // An address is needed even where nothing is read, and it has to be aligned as others: memory begins so.
        const auto* nowhere = reinterpret_cast<const Bf16*>(reinterpret_cast<uintptr_t>(c.q) & ~uintptr_t{15});
        for (int i = block.thread(); i < kTileKeys * kColumns; i += block.threads()) {
            const int line = i / kColumns, d = i % kColumns * 8;
            const int64_t key = first + line;
            const bool exists = key < end;
            const bool has_key = exists && d < c.source.head_dim, has_value = exists && d < c.source.value_dim;
            const Bf16* k = has_key ? c.source.template key<Bf16>(kv_head, key) + d : nowhere;
            const Bf16* v = has_value ? c.source.template value<Bf16>(kv_head, key) + d : nowhere;
            Bf16* to = stage + line * kLine + d;
            block.copy_async(to, k, has_key);
            block.copy_async(to + kTileElements, v, has_value);
        }
    }

    /** Two neighbouring elements of a query. */
    VLM_HD uint32_t query_pair(const Bf16* row, int d) const {
        if (d >= c.source.head_dim) return 0;
        return static_cast<uint32_t>(row[d].bits) | static_cast<uint32_t>(row[d + 1].bits) << 16;
    }

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t head = block.index() % c.heads, kv_head = head / c.group;
        // Causal rows that see most come first, so that the last blocks are short.
        const int64_t first_row = (row_tiles - 1 - block.index() / c.heads) * kTileRows;
        const int group = block.lane() / 4, pair = block.lane() % 4;
        int64_t rows[2], low[2], high[2];
        VLM_UNROLL
        for (int i = 0; i < 2; ++i) {
            rows[i] = first_row + block.warp() * 16 + group + 8 * i;
            c.visible(rows[i] < c.rows ? rows[i] : c.rows - 1, &low[i], &high[i]);
        }
        // Rows without keys do not widen the range. Counts below 2^24 are exact floats.
        int64_t least = c.keys, most = 0;
        VLM_UNROLL
        for (int i = 0; i < 2; ++i) {
            if (low[i] >= high[i]) continue;
            least = low[i] < least ? low[i] : least;
            most = high[i] > most ? high[i] : most;
        }
        least = static_cast<int64_t>(-block.max(-static_cast<float>(least)));
        most = static_cast<int64_t>(block.max(static_cast<float>(most)));
        const int64_t end = most, begin = least / kTileKeys * kTileKeys;
        const int64_t tiles = end > begin ? (end - begin + kTileKeys - 1) / kTileKeys : 0;

        uint32_t q[kSteps][4];
        VLM_UNROLL
        for (int s = 0; s < kSteps; ++s) {
            VLM_UNROLL
            for (int i = 0; i < 4; ++i) {
                const int64_t row = rows[i % 2] < c.rows ? rows[i % 2] : c.rows - 1;
                const Bf16* from = static_cast<const Bf16*>(c.q) + row * c.q_row + head * c.q_head;
                q[s][i] = query_pair(from, 16 * s + 8 * (i / 2) + 2 * pair);
            }
        }
        float out[kColumns][4], maximum[2], total[2];
        VLM_UNROLL
        for (int n = 0; n < kColumns; ++n) {
            VLM_UNROLL
            for (int i = 0; i < 4; ++i) out[n][i] = 0.0f;
        }
        VLM_UNROLL
        for (int i = 0; i < 2; ++i) {
            maximum[i] = -infinity();
            total[i] = 0.0f;
        }

        Bf16* const stages = block.template shared<Bf16>();
        if (tiles > 0) fetch(block, kv_head, begin, end, stages);
        block.commit_copies();
        for (int64_t tile = 0; tile < tiles; ++tile) {
            const Bf16* keys = stages + tile % 2 * (2 * kTileElements);
            const Bf16* values = keys + kTileElements;
            if (tile + 1 < tiles)
                fetch(block, kv_head, begin + (tile + 1) * kTileKeys, end,
                      stages + (tile + 1) % 2 * (2 * kTileElements));
            block.commit_copies();
            block.template wait_copies<1>();
            block.sync();
            multiply_tile(block, begin + tile * kTileKeys, low, high, q, keys, values, out, maximum, total);
            block.sync();
        }
        VLM_UNROLL
        for (int i = 0; i < 2; ++i) {
            const float sum = block.template group_sum<4>(total[i]);
            const float inverse = sum == 0.0f ? 0.0f : 1.0f / sum;
            if (rows[i] >= c.rows) continue;
            Bf16* to = static_cast<Bf16*>(c.out) + rows[i] * c.out_row + head * c.out_head;
            VLM_UNROLL
            for (int n = 0; n < kColumns; ++n) {
                const int d = 8 * n + 2 * pair;
                if (d >= c.source.value_dim) continue;
                from_float(out[n][2 * i] * inverse, to[d]);
                from_float(out[n][2 * i + 1] * inverse, to[d + 1]);
            }
        }
    }

    template <class Block>
    VLM_HD void multiply_tile(Block& block, int64_t first, const int64_t* low, const int64_t* high,
                              const uint32_t (*q)[4], const Bf16* keys, const Bf16* values, float (*out)[4],
                              float* maximum, float* total) const {
        const int lane = block.lane(), pair = lane % 4;
        float logits[kEights][4];
        VLM_UNROLL
        for (int n = 0; n < kEights; n += 2) {
            VLM_UNROLL
            for (int i = 0; i < 4; ++i) logits[n][i] = logits[n + 1][i] = 0.0f;
            VLM_UNROLL
            for (int s = 0; s < kSteps; ++s) {
                uint32_t b[4];
                block.template load_matrices<false>(
                    b, keys + ((n + lane / 16) * 8 + lane % 8) * kLine + 16 * s + 8 * (lane / 8 % 2));
                block.multiply(logits[n], q[s], b);
                block.multiply(logits[n + 1], q[s], b + 2);
            }
        }
        // Tiles inside the ranges of both rows need no comparisons.
        const int64_t last = first + kTileKeys;
        const bool whole = low[0] <= first && low[1] <= first && last <= high[0] && last <= high[1];
        float top[2] = {maximum[0], maximum[1]};
        VLM_UNROLL
        for (int n = 0; n < kEights; ++n) {
            VLM_UNROLL
            for (int i = 0; i < 4; ++i) {
                const int64_t key = first + 8 * n + 2 * pair + i % 2;
                const bool seen = whole || (key >= low[i / 2] && key < high[i / 2]);
                logits[n][i] = seen ? c.logit(logits[n][i], key) : -infinity();
                top[i / 2] = fmaxf(top[i / 2], logits[n][i]);
            }
        }
        float correction[2];
        VLM_UNROLL
        for (int i = 0; i < 2; ++i) {
            top[i] = block.template group_max<4>(top[i]);
            correction[i] = top[i] == -infinity() ? 1.0f : expf(maximum[i] - top[i]);
            maximum[i] = top[i];
            total[i] *= correction[i];
        }
        VLM_UNROLL
        for (int n = 0; n < kEights; ++n) {
            VLM_UNROLL
            for (int i = 0; i < 4; ++i) {
                const float weight = top[i / 2] == -infinity() ? 0.0f : expf(logits[n][i] - top[i / 2]);
                logits[n][i] = weight;
                total[i / 2] += weight;
            }
        }
        VLM_UNROLL
        for (int n = 0; n < kColumns; ++n) {
            VLM_UNROLL
            for (int i = 0; i < 4; ++i) out[n][i] *= correction[i / 2];
        }
        VLM_UNROLL
        for (int s = 0; s < kTileKeys / 16; ++s) {
            const float* left = logits[2 * s];
            const float* right = logits[2 * s + 1];
            const uint32_t a[4] = {pack_pair(left[0], left[1]), pack_pair(left[2], left[3]),
                                   pack_pair(right[0], right[1]), pack_pair(right[2], right[3])};
            VLM_UNROLL
            for (int n = 0; n < kColumns; n += 2) {
                uint32_t b[4];
                block.template load_matrices<true>(
                    b, values + (16 * s + 8 * (lane / 8 % 2) + lane % 8) * kLine + 8 * (n + lane / 16));
                block.multiply(out[n], a, b);
                block.multiply(out[n + 1], a, b + 2);
            }
        }
    }
};

template <int kDim>
void go(const Queue& queue, const AttentionCall& call) {
    using Body = AttentionTile<kDim>;
    const int64_t tiles = divide_up(call.rows, kTileRows);
    launch(queue, "attention", {tiles * call.heads, Body::kSharedBytes}, Body{call, tiles});
}

}  // namespace

void launch_attention_tiles(const Queue& queue, const AttentionCall& call) {
    const int64_t dim = call.source.head_dim > call.source.value_dim ? call.source.head_dim : call.source.value_dim;
    if (dim <= 64) return go<64>(queue, call);
    if (dim <= 80) return go<80>(queue, call);
    go<128>(queue, call);
}

}  // namespace vlm::cuda
