/** @file attention_bf16_inl.hpp
 *  The inner steps of attention in bf16. A decoded row meets every key once, so what decides there is how the cache
 * comes from memory: while one page is multiplied, the next is fetched (pages lie apart, and no hardware looks ahead
 * across them), and with few rows two panels share each broadcast, so that enough sums are in flight. What lies
 * between the two products is in attention_softmax_inl.hpp. Included by kernels_bf16.cpp only.
 */

namespace {

/** A number as a type. */
template <int N>
struct Count {
    static constexpr int value = N;
};

/** `MR` rows times `NP` neighbouring panels, sums in registers. */
template <int MR, int NP>
struct Block {
    static constexpr int kVecs = 2 * NP;
    __m512 sums[MR][kVecs];

    [[gnu::always_inline]] void clear() {
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
            for (int v = 0; v < kVecs; ++v) sums[m][v] = _mm512_setzero_ps();
    }
    [[gnu::always_inline]] void load(const float* c, int64_t ldc) {
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
            for (int v = 0; v < kVecs; ++v) sums[m][v] = _mm512_loadu_ps(c + m * ldc + 16 * v);
    }
    [[gnu::always_inline]] void store(float* c, int64_t ldc) const {
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
            for (int v = 0; v < kVecs; ++v) _mm512_storeu_ps(c + m * ldc + 16 * v, sums[m][v]);
    }
    /** Panels lie `stride` elements apart; as much memory at `ahead` is fetched. */
    [[gnu::always_inline]] void multiply(const uint16_t* a, int64_t lda, const uint16_t* panel, int64_t stride,
                                         int64_t depth, const uint16_t* ahead) {
        for (int64_t k = 0; k < depth; k += 2) {
            __m512bh b[kVecs];
#pragma GCC unroll 4
            for (int v = 0; v < kVecs; ++v) {
                const int64_t at = v / 2 * stride + k * kPanel + v % 2 * 32;
                b[v] = (__m512bh)_mm512_loadu_si512(panel + at);
                _mm_prefetch(reinterpret_cast<const char*>(ahead + at), _MM_HINT_T0);
            }
#pragma GCC unroll 16
            for (int m = 0; m < MR; ++m) {
                int pair;
                __builtin_memcpy(&pair, a + m * lda + k, sizeof(pair));
                const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
#pragma GCC unroll 4
                for (int v = 0; v < kVecs; ++v) sums[m][v] = _mm512_dpbf16_ps(sums[m][v], x, b[v]);
            }
        }
    }
};

/** Most rows for which a block takes two panels: 24 sums. */
constexpr int64_t kWideRows = 6;

/** Calls `fn(rows as a type, first row)` for blocks of at most kTileRows rows. */
template <int MR, class Fn>
inline void remaining_rows(int64_t rows, int64_t first, Fn&& fn) {
    if constexpr (MR > 0) {
        if (rows == MR) return fn(Count<MR>{}, first);
        remaining_rows<MR - 1>(rows, first, fn);
    }
}
template <class Fn>
inline void for_row_blocks(int64_t rows, Fn&& fn) {
    constexpr int kRows = Vec::kTileRows;
    int64_t first = 0;
    for (; first + kRows <= rows; first += kRows) fn(Count<kRows>{}, first);
    remaining_rows<kRows - 1>(rows - first, first, fn);
}

/** The page behind page `p`, or what comes `ahead`, or the page itself. */
inline const uint16_t* page_after(const uint16_t* const* pages, int64_t count, int64_t p, const void* ahead) {
    for (int64_t next = p + 1; next < count; ++next)
        if (pages[next] != nullptr) return pages[next];
    return ahead != nullptr ? static_cast<const uint16_t*>(ahead) : pages[p];
}

void score_tile(const ScoreTile& t) {
    const int64_t stride = t.depth * kPanel;
    for (int64_t p = 0; p < t.page_count; ++p) {
        const uint16_t* page = t.pages[p];
        if (page == nullptr) continue;
        const uint16_t* next = page_after(t.pages, t.page_count, p, t.ahead);
        float* logits = t.logits + p * 2 * kPanel;
        for_row_blocks(t.rows, [&](auto rows, int64_t first) {
            constexpr int MR = decltype(rows)::value;
            const uint16_t* q = t.q + first * t.ldq;
            float* c = logits + first * t.ld;
            if constexpr (MR <= kWideRows) {
                Block<MR, 2> block;
                block.clear();
                block.multiply(q, t.ldq, page, stride, t.depth, first == 0 ? next : page);
                block.store(c, t.ld);
            } else {
                for (int64_t half = 0; half < 2; ++half) {
                    const int64_t at = half * stride;
                    Block<MR, 1> block;
                    block.clear();
                    block.multiply(q, t.ldq, page + at, stride, t.depth, (first == 0 ? next : page) + at);
                    block.store(c + half * kPanel, t.ld);
                }
            }
        });
    }
}

void value_tile(const ValueTile& t) {
    constexpr int64_t stride = 2 * kPanel * kPanel;
    for_row_blocks(t.rows, [&](auto rows, int64_t first) {
        constexpr int MR = decltype(rows)::value;
        const auto panels = [&](auto count, int64_t panel) {
            constexpr int NP = decltype(count)::value;
            float* c = t.out + first * t.ldo + panel * kPanel;
            Block<MR, NP> block;
            block.load(c, t.ldo);
            for (int64_t p = 0; p < t.page_count; ++p) {
                const uint16_t* page = t.pages[p];
                if (page == nullptr) continue;
                const uint16_t* next = first == 0 ? page_after(t.pages, t.page_count, p, t.ahead) : page;
                const int64_t key = p * 2 * kPanel, depth = t.keys - key < 2 * kPanel ? t.keys - key : 2 * kPanel;
                block.multiply(t.weights + first * t.ldw + key, t.ldw, page + panel * stride, stride, depth,
                               next + panel * stride);
            }
            block.store(c, t.ldo);
        };
        int64_t panel = 0;
        if constexpr (MR <= kWideRows)
            for (; panel + 2 <= t.panels; panel += 2) panels(Count<2>{}, panel);
        for (; panel < t.panels; ++panel) panels(Count<1>{}, panel);
    });
}

}  // namespace
