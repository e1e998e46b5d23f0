/** @file attention_bf16_inl.hpp
 *  The inner steps of attention in bf16. A decoded row meets every key once, so what decides there is how the cache
 * comes from memory: while one page is multiplied, the next is fetched (pages lie apart, and no hardware looks ahead
 * across them), and with few rows two panels share each broadcast, so that enough sums are in flight. With many rows
 * the exponentials decide: maximum and scale are applied in the exponent of two, the polynomial has degree 4 (3e-6, a
 * hundredth of what rounding to bf16 loses), and weights leave as bf16. Included by kernels_bf16.cpp only.
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

/** 2^x within 3e-6; 0 below -150; NaN stays. */
inline F exp2_vec(F x) {
    x = Vec::max(set(-150.0f), x);
    const F n = Vec::round(x), f = Vec::sub(x, n);
    F p = Vec::fma(set(9.57010165e-3f), f, set(5.59178621e-2f));
    p = Vec::fma(p, f, set(2.40247448e-1f));
    p = Vec::fma(p, f, set(6.93121815e-1f));
    p = Vec::fma(p, f, set(9.99999261e-1f));
    return _mm512_scalef_ps(p, n);
}

/** Lanes of [low, high) in the vector that begins at column i. */
inline __mmask16 visible_lanes(int64_t i, int64_t low, int64_t high) {
    const auto below = [i](int64_t column) {
        const int64_t n = column - i;
        return n <= 0 ? 0u : n >= 16 ? 0xFFFFu : (1u << n) - 1;
    };
    return static_cast<__mmask16>(below(high) & ~below(low));
}

/** Scaled logits of visible lanes, written back where they are more than a product. Returns the largest. */
float prepare_logits(WeightRow& row, bool plain) {
    F top = set(-__builtin_inff());
    for (int64_t i = row.low / 16 * 16; i < row.high; i += 16) {
        __mmask16 lanes = visible_lanes(i, row.low, row.high);
        F x = _mm512_maskz_loadu_ps(lanes, row.logits + i);
        if (!plain) {
            x = Vec::mul(x, set(row.scale));
            if (row.key_scales != nullptr) x = Vec::mul(x, _mm512_maskz_loadu_ps(lanes, row.key_scales + i));
            if (row.softcap != 0.0f) x = Vec::mul(set(row.softcap), tanh_vec(Vec::div(x, set(row.softcap))));
            if (row.bias != nullptr) x = Vec::add(x, _mm512_maskz_loadu_ps(lanes, row.bias + i));
            if (row.mask != nullptr) {
                const __m128i bytes = _mm_maskz_loadu_epi8(lanes, row.mask + i);
                x = _mm512_mask_blend_ps(_mm_test_epi8_mask(bytes, bytes), set(-__builtin_inff()), x);
            }
            _mm512_mask_storeu_ps(row.logits + i, lanes, x);
        }
        top = _mm512_mask_max_ps(top, lanes, top, x);
    }
    return plain ? Vec::largest(top) * row.scale : Vec::largest(top);
}

/** Maxima lose NaN; a row that seems to see nothing is asked again, so that NaN goes on. */
bool any_nan(const WeightRow& row) {
    for (int64_t j = row.low; j < row.high; ++j)
        if (row.logits[j] != row.logits[j]) return true;
    return false;
}

void weight_row(WeightRow& row) {
    constexpr float kLog2E = 1.44269504088896341f;
    const bool plain = row.softcap == 0.0f && row.bias == nullptr && row.mask == nullptr && row.key_scales == nullptr &&
                       row.scale > 0.0f;
    const float before = row.maximum, best = prepare_logits(row, plain);
    const float maximum = best > before ? best : before;
    row.maximum = maximum;
    row.correction = 1.0f;
    const bool none = maximum == -__builtin_inff() && !any_nan(row);
    const F factor = set(plain ? row.scale * kLog2E : kLog2E), shift = set(-maximum * kLog2E);
    F sums[2] = {set(0.0f), set(0.0f)};
    const auto step = [&](int64_t i, auto inside) __attribute__((always_inline)) {
        F e[2];
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const int64_t column = i + 16 * v;
            if constexpr (decltype(inside)::value != 0) {
                e[v] = exp2_vec(Vec::fma(Vec::load(row.logits + column), factor, shift));
            } else {
                const __mmask16 lanes = visible_lanes(column, row.low, row.high);
                const F x = _mm512_maskz_loadu_ps(lanes, row.logits + column);
                e[v] = _mm512_maskz_mov_ps(lanes, exp2_vec(Vec::fma(x, factor, shift)));
            }
            sums[v] = Vec::add(sums[v], e[v]);
            if (row.value_scales != nullptr) e[v] = Vec::mul(e[v], Vec::load(row.value_scales + column));
        }
        _mm512_storeu_si512(row.weights + i, (__m512i)_mm512_cvtne2ps_pbh(e[1], e[0]));
    };
    const auto zeros = [&](int64_t i, int64_t end) {
        for (; i < end; i += 32) _mm512_storeu_si512(row.weights + i, _mm512_setzero_si512());
    };
    int64_t i = none ? row.columns : row.low / 32 * 32;
    zeros(0, i);
    if (i < row.low) step(i, Count<0>{}), i += 32;
    for (; i + 32 <= row.high; i += 32) step(i, Count<1>{});
    if (i < row.high) step(i, Count<0>{}), i += 32;
    zeros(i, row.columns);
    if (none) return;
    if (before != maximum) row.correction = _mm512_cvtss_f32(exp2_vec(set((before - maximum) * kLog2E)));
    row.sum = row.sum * row.correction + Vec::sum(Vec::add(sums[0], sums[1]));
}

}  // namespace
