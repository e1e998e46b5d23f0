/** @file tokens.cu
 *  Token maps and their application. Nothing here uses atomics: a group's members are found in index order by counting,
 * an element's rank is the number of better ones, and numbering is a prefix sum inside one block. So a map has the same
 * bits every time and is never read back.
 */
#include "host/compute/cuda/kernels.hpp"
#include "host/compute/cuda/launch.hpp"

namespace vlm::cuda {

namespace {

/** Exclusive prefix sum of `count(i)` over 0 … n-1 inside one block: calls `place(i, sum)` for each and returns the
 * total to all threads. Shared memory: one number per thread and one more. */
template <class Block, class Count, class Place>
VLM_HD int64_t prefix_sum(Block& block, int64_t n, const Count& count, const Place& place) {
    int64_t* sums = block.template shared<int64_t>();
    const int64_t chunk = (n + block.threads() - 1) / block.threads();
    const int64_t begin = chunk * block.thread(), end = begin + chunk < n ? begin + chunk : n;
    int64_t own = 0;
    for (int64_t i = begin; i < end; ++i) own += count(i);
    block.sync();
    sums[block.thread()] = own;
    block.sync();
    if (block.thread() == 0) {
        int64_t total = 0;
        for (int t = 0; t < block.threads(); ++t) {
            const int64_t here = sums[t];
            sums[t] = total;
            total += here;
        }
        sums[block.threads()] = total;
    }
    block.sync();
    int64_t sum = sums[block.thread()];
    for (int64_t i = begin; i < end; ++i) {
        const int64_t here = count(i);
        place(i, sum);
        sum += here;
    }
    const int64_t total = sums[block.threads()];
    block.sync();
    return total;
}

constexpr int kScanThreads = 512;
constexpr int64_t kScanBytes = (kScanThreads + 1) * 8;

struct CountMembers {
    const int32_t* map;
    int64_t n, groups;
    int32_t* counts;
    int32_t* fault;
    VLM_HD void operator()(int64_t g) const {
        int32_t count = 0;
        for (int64_t i = 0; i < n; ++i) {
            count += map[i] == g ? 1 : 0;
            if (g == 0 && map[i] >= groups) *fault = static_cast<int32_t>(Fault::scatter_mean);
        }
        counts[g] = count;
    }
};

/** Counts become begins, in place: `begin` has one element more than there are groups. */
struct BeginMembers {
    static constexpr int kThreads = kScanThreads;
    int32_t* begin;
    int64_t groups;

    struct Count {
        const int32_t* counts;
        VLM_HD int64_t operator()(int64_t i) const { return counts[i]; }
    };
    struct Place {
        int32_t* begin;
        VLM_HD void operator()(int64_t i, int64_t sum) const { begin[i] = static_cast<int32_t>(sum); }
    };
    template <class Block>
    VLM_HD void operator()(Block& block) const {
        // `place(i)` overwrites what `count(i)` has just read, and only this thread reads it.
        const int64_t total = prefix_sum(block, groups, Count{begin}, Place{begin});
        if (block.thread() == 0) begin[groups] = static_cast<int32_t>(total);
    }
};

struct ListMembers {
    const int32_t* map;
    int64_t n;
    const int32_t* begin;
    int32_t* members;
    VLM_HD void operator()(int64_t g) const {
        int32_t at = begin[g];
        const int32_t end = begin[g + 1];
        for (int64_t i = 0; i < n && at < end; ++i)
            if (map[i] == g) members[at++] = static_cast<int32_t>(i);
    }
};

template <class T>
struct GroupMeans {
    static constexpr int kThreads = 128;
    const T* x;
    int64_t x_stride;
    const float* weights;
    const int32_t* begin;
    const int32_t* members;
    int64_t size;
    T* y;
    int64_t y_stride;

    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int32_t first = begin[block.index()], end = begin[block.index() + 1];
        T* to = y + block.index() * y_stride;
        float total = 0.0f;
        for (int32_t m = first; m < end; ++m) total += weights != nullptr ? weights[members[m]] : 1.0f;
        for (int64_t i = block.thread(); i < size; i += block.threads()) {
            float sum = 0.0f;
            for (int32_t m = first; m < end; ++m) {
                const int64_t row = members[m];
                sum += (weights != nullptr ? weights[row] : 1.0f) * to_float(x[row * x_stride + i]);
            }
            from_float(total == 0.0f ? 0.0f : sum / total, to[i]);
        }
    }
};

/** Falling scores, ties by rising index, NaN last. */
VLM_HD bool before(float a, int64_t i, float b, int64_t j) {
    const bool a_nan = a != a, b_nan = b != b;
    if (a_nan != b_nan) return b_nan;
    if (!a_nan && a != b) return a > b;
    return i < j;
}

struct AcceptMerges {
    MergeMap m;
    VLM_HD bool proposes(int64_t i) const {
        return 2 * i >= m.protected_tokens && (m.everything || m.scores[i] > m.threshold);
    }
    VLM_HD void operator()(int64_t i) const {
        const int64_t evens = (m.n + 1) / 2;
        bool merged = m.n > 1 && proposes(i);
        int64_t rank = 0;
        for (int64_t j = 0; merged && j < evens; ++j)
            rank += j != i && proposes(j) && before(m.scores[j], j, m.scores[i], i) ? 1 : 0;
        merged = merged && rank < m.limit;
        m.merged[i] = merged ? 1 : 0;
    }
};

struct NumberMerged {
    static constexpr int kThreads = kScanThreads;
    MergeMap m;

    struct Survives {
        const uint8_t* merged;
        VLM_HD int64_t operator()(int64_t i) const { return merged[i] == 0 ? 1 : 0; }
    };
    struct Number {
        const uint8_t* merged;
        int32_t* groups;
        VLM_HD void operator()(int64_t i, int64_t sum) const {
            if (merged[i] == 0) groups[2 * i] = static_cast<int32_t>(sum);
        }
    };
    template <class Block>
    VLM_HD void operator()(Block& block) const {
        const int64_t evens = (m.n + 1) / 2, odds = m.n / 2;
        const int64_t survivors = prefix_sum(block, evens, Survives{m.merged}, Number{m.merged, m.groups});
        for (int64_t i = block.thread(); i < odds; i += block.threads())
            m.groups[2 * i + 1] = static_cast<int32_t>(survivors + i);
        for (int64_t i = block.thread(); i < evens; i += block.threads()) {
            if (m.merged[i] == 0) continue;
            int64_t partner = m.partners[i];
            if (partner < 0 || partner >= odds) {
                *m.fault = static_cast<int32_t>(Fault::merge_map);
                partner = 0;
            }
            m.groups[2 * i] = static_cast<int32_t>(survivors + partner);
        }
        if (block.thread() == 0) *m.survivors = static_cast<int32_t>(survivors);
    }
};

struct Keep {
    KeepMap m;
    VLM_HD void operator()(int64_t i) const {
        int64_t rank = 0;
        for (int64_t j = 0; m.droppable[i] != 0 && j < m.n; ++j)
            rank += j != i && m.droppable[j] != 0 && before(m.scores[j], j, m.scores[i], i) ? 1 : 0;
        m.kept[i] = m.droppable[i] == 0 || rank < m.keep ? 1 : 0;
    }
};

struct NumberKept {
    static constexpr int kThreads = kScanThreads;
    KeepMap m;

    struct Kept {
        const uint8_t* kept;
        VLM_HD int64_t operator()(int64_t i) const { return kept[i]; }
    };
    struct Number {
        const uint8_t* kept;
        int32_t* groups;
        VLM_HD void operator()(int64_t i, int64_t sum) const {
            groups[i] = kept[i] != 0 ? static_cast<int32_t>(sum) : -1;
        }
    };
    template <class Block>
    VLM_HD void operator()(Block& block) const {
        prefix_sum(block, m.n, Kept{m.kept}, Number{m.kept, m.groups});
    }
};

struct CarryPositions {
    CarryMap m;
    VLM_HD void operator()(int64_t p) const {
        const int64_t row = m.origins == nullptr ? p : m.rows[p];
        if (row >= m.n) *m.fault = static_cast<int32_t>(Fault::carry_map);
        const int32_t group = row < 0 || row >= m.n ? -1 : m.groups[row];
        m.rows[p] = group < 0 || group >= m.count ? -1 : group;
    }
};

struct CarryGroups {
    CarryMap m;
    VLM_HD void operator()(int64_t g) const {
        float total = 0.0f;
        int32_t lowest = -1;
        for (int64_t i = 0; i < m.n; ++i) {
            if (g == 0 && m.groups[i] >= m.count) *m.fault = static_cast<int32_t>(Fault::carry_map);
            if (m.groups[i] != g) continue;
            total += m.sizes != nullptr ? m.sizes[i] : 1.0f;
            const int32_t origin = m.origins != nullptr ? m.origins[i] : static_cast<int32_t>(i);
            lowest = lowest < 0 || origin < lowest ? origin : lowest;
        }
        m.new_sizes[g] = total;
        if (m.log_sizes != nullptr) m.log_sizes[g] = logf(total);
        if (m.new_origins != nullptr) m.new_origins[g] = lowest;
    }
};

}  // namespace

void launch_group_members(const Queue& queue, const int32_t* map, int64_t n, int64_t groups, int32_t* begin,
                          int32_t* members, int32_t* fault) {
    launch_items(queue, "scatter_mean", groups, CountMembers{map, n, groups, begin, fault});
    launch(queue, "scatter_mean", {1, kScanBytes}, BeginMembers{begin, groups});
    launch_items(queue, "scatter_mean", groups, ListMembers{map, n, begin, members});
}

void launch_group_means(const Queue& queue, uint32_t dtype, const void* x, int64_t x_stride, const float* weights,
                        const int32_t* begin, const int32_t* members, int64_t groups, int64_t size, void* y,
                        int64_t y_stride) {
    if (dtype == VLM_DTYPE_BF16) {
        launch(queue, "scatter_mean", {groups},
               GroupMeans<Bf16>{static_cast<const Bf16*>(x), x_stride, weights, begin, members, size,
                                static_cast<Bf16*>(y), y_stride});
    } else {
        launch(queue, "scatter_mean", {groups},
               GroupMeans<float>{static_cast<const float*>(x), x_stride, weights, begin, members, size,
                                 static_cast<float*>(y), y_stride});
    }
}

void launch_merge_map(const Queue& queue, const MergeMap& map) {
    launch_items(queue, "merge_map", (map.n + 1) / 2, AcceptMerges{map});
    launch(queue, "merge_map", {1, kScanBytes}, NumberMerged{map});
}

void launch_keep_map(const Queue& queue, const KeepMap& map) {
    launch_items(queue, "keep_map", map.n, Keep{map});
    launch(queue, "keep_map", {1, kScanBytes}, NumberKept{map});
}

void launch_carry_map(const Queue& queue, const CarryMap& map) {
    launch_items(queue, "carry_map", map.positions, CarryPositions{map});
    launch_items(queue, "carry_map", map.count, CarryGroups{map});
}

}  // namespace vlm::cuda
