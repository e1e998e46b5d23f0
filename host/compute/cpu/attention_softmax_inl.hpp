/** @file attention_softmax_inl.hpp
 *  From logits to weights in bf16, 16 rows at a time. Maxima and sums are kept per lane, and the lanes of 16 rows are
 * brought together in one go, as the columns of a transposed block: a row alone would wait for its maximum, shuffle by
 * shuffle, longer than its exponentials take. Maximum and scale are applied in the exponent of two; the polynomial has
 * degree 4 (3e-6, a hundredth of what rounding to bf16 loses). Included by kernels_bf16.cpp only.
 */

namespace {

constexpr float kLog2E = 1.44269504088896341f;

/** 2^x within 3e-6; 0 for -infinity (whose reduced value is 0 by definition); NaN stays. */
inline F exp2_vec(F x) {
    const F f = _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);  // x - floor(x)
    F p = Vec::fma(set(1.35341677e-2f), f, set(5.20114615e-2f));
    p = Vec::fma(p, f, set(2.41442756e-1f));
    p = Vec::fma(p, f, set(6.93003835e-1f));
    p = Vec::fma(p, f, set(1.00000259f));
    return _mm512_scalef_ps(p, x);  // times 2^floor(x)
}

struct Larger {
    F operator()(F a, F b) const { return Vec::max(a, b); }
};
struct Sum {
    F operator()(F a, F b) const { return Vec::add(a, b); }
};

/** One value of each of 16 rows from its 16 lanes. Lanes are paired alike in all rows, so that a row's result does not
 * depend on where it stands. */
template <class Op>
inline F across_lanes(const float (*rows)[16], Op op) {
    F r[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
        const F a = Vec::load(rows[i]), b = Vec::load(rows[i + 8]);
        r[i] = op(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xEE));
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
        r[i] = op(_mm512_shuffle_f32x4(r[i], r[i + 4], 0x88), _mm512_shuffle_f32x4(r[i], r[i + 4], 0xDD));
#pragma GCC unroll 2
    for (int i = 0; i < 2; ++i) r[i] = op(_mm512_unpacklo_ps(r[i], r[i + 2]), _mm512_unpackhi_ps(r[i], r[i + 2]));
    r[0] = op(_mm512_unpacklo_ps(r[0], r[1]), _mm512_unpackhi_ps(r[0], r[1]));
    return _mm512_shuffle_f32x4(r[0], r[0], 0xD8);
}

/** Lanes of [low, high) in the vector that begins at column i. */
inline __mmask16 visible_lanes(int64_t i, int64_t low, int64_t high) {
    const auto below = [i](int64_t column) {
        const int64_t n = column - i;
        return n <= 0 ? 0u : n >= 16 ? 0xFFFFu : (1u << n) - 1;
    };
    return static_cast<__mmask16>(below(high) & ~below(low));
}

/** Largest logit of each lane. */
inline F largest_of_row(const float* logits, int64_t low, int64_t high) {
    F top = set(-__builtin_inff());
    int64_t i = low / 16 * 16;
    const auto ends = [&] {
        const __mmask16 lanes = visible_lanes(i, low, high);
        top = _mm512_mask_max_ps(top, lanes, top, _mm512_maskz_loadu_ps(lanes, logits + i));
        i += 16;
    };
    if (i < low) ends();
    for (; i + 16 <= high; i += 16) top = Vec::max(top, Vec::load(logits + i));
    if (i < high) ends();
    return top;
}

/** The same where logits are more than a product; they are written back. */
F prepare_row(const WeightTile& t, int64_t row) {
    float* logits = t.logits + row * t.ld;
    const int64_t low = t.low[row], high = t.high[row];
    F top = set(-__builtin_inff());
    for (int64_t i = low / 16 * 16; i < high; i += 16) {
        const __mmask16 lanes = visible_lanes(i, low, high);
        F x = Vec::mul(_mm512_maskz_loadu_ps(lanes, logits + i), set(t.scale));
        if (t.key_scales != nullptr) x = Vec::mul(x, _mm512_maskz_loadu_ps(lanes, t.key_scales + i));
        if (t.softcap != 0.0f) x = Vec::mul(set(t.softcap), tanh_vec(Vec::div(x, set(t.softcap))));
        if (t.bias != nullptr) x = Vec::add(x, _mm512_maskz_loadu_ps(lanes, t.bias + i));
        if (t.mask[row] != nullptr) {
            const __m128i bytes = _mm_maskz_loadu_epi8(lanes, t.mask[row] + i);
            x = _mm512_mask_blend_ps(_mm_test_epi8_mask(bytes, bytes), set(-__builtin_inff()), x);
        }
        _mm512_mask_storeu_ps(logits + i, lanes, x);
        top = _mm512_mask_max_ps(top, lanes, top, x);
    }
    return top;
}

/** Maxima lose NaN; a row that seems to see nothing is asked again, so that NaN goes on. */
bool any_nan(const WeightTile& t, int64_t row) {
    const float* logits = t.logits + row * t.ld;
    for (int64_t j = t.low[row]; j < t.high[row]; ++j)
        if (logits[j] != logits[j]) return true;
    return false;
}

/** Weights of one row, 2^(logit * factor + shift); returns their sum per lane. */
inline F weights_of_row(const WeightTile& t, int64_t row, F factor, F shift) {
    const float* logits = t.logits + row * t.ld;
    uint16_t* weights = t.weights + row * t.ldw;
    const int64_t low = t.low[row], high = t.high[row];
    F sums[2] = {set(0.0f), set(0.0f)};
    const auto exponential = [&](F x) __attribute__((always_inline)) {
        return exp2_vec(Vec::fma(x, factor, shift));
    };
    const auto step = [&](int64_t i, auto inside) __attribute__((always_inline)) {
        F e[2];
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) {
            const int64_t column = i + 16 * v;
            if constexpr (decltype(inside)::value != 0) {
                e[v] = exponential(Vec::load(logits + column));
            } else {
                const __mmask16 lanes = visible_lanes(column, low, high);
                e[v] = _mm512_maskz_mov_ps(lanes, exponential(_mm512_maskz_loadu_ps(lanes, logits + column)));
            }
            sums[v] = Vec::add(sums[v], e[v]);
            if (t.value_scales != nullptr) e[v] = Vec::mul(e[v], Vec::load(t.value_scales + column));
        }
        _mm512_storeu_si512(weights + i, (__m512i)_mm512_cvtne2ps_pbh(e[1], e[0]));
    };
    const auto zeros = [&](int64_t i, int64_t end) {
        for (; i < end; i += 32) _mm512_storeu_si512(weights + i, _mm512_setzero_si512());
    };
    int64_t i = low / 32 * 32;
    zeros(0, i);
    if (i < low) step(i, Count<0>{}), i += 32;
    for (; i + 32 <= high; i += 32) step(i, Count<1>{});
    if (i < high) step(i, Count<0>{}), i += 32;
    zeros(i, t.columns);
    return Vec::add(sums[0], sums[1]);
}

void weight_tile(WeightTile& t) {
    constexpr int kRows = WeightTile::kRows;
    const float infinity = __builtin_inff();
    bool plain = t.softcap == 0.0f && t.bias == nullptr && t.key_scales == nullptr && t.scale > 0.0f;
    for (int64_t r = 0; r < t.rows; ++r) plain = plain && t.mask[r] == nullptr;
    alignas(64) float lanes[kRows][16], maxima[kRows], shifts[kRows];
    for (int64_t r = 0; r < kRows; ++r) {
        F top = set(-infinity);
        if (r < t.rows && t.low[r] < t.high[r])
            top = plain ? largest_of_row(t.logits + r * t.ld, t.low[r], t.high[r]) : prepare_row(t, r);
        Vec::store(lanes[r], top);
    }
    const __mmask16 present = Vec::first(t.rows);
    const F old = _mm512_mask_loadu_ps(set(-infinity), present, t.maximum);
    F best = across_lanes(lanes, Larger{});
    if (plain) best = Vec::mul(best, set(t.scale));
    const F maximum = _mm512_mask_blend_ps(_mm512_cmp_ps_mask(best, old, _CMP_GT_OQ), old, best);
    Vec::store(maxima, maximum);
    Vec::store(shifts, Vec::mul(maximum, set(-kLog2E)));
    const F factor = set(plain ? t.scale * kLog2E : kLog2E);
    for (int64_t r = 0; r < kRows; ++r) {
        const bool seen = r < t.rows && t.low[r] < t.high[r];
        if (seen && (maxima[r] != -infinity || any_nan(t, r))) {
            Vec::store(lanes[r], weights_of_row(t, r, factor, set(shifts[r])));
            continue;
        }
        Vec::store(lanes[r], set(0.0f));
        for (int64_t i = 0; r < t.rows && i < t.columns; i += 32)
            _mm512_storeu_si512(t.weights + r * t.ldw + i, _mm512_setzero_si512());
    }
    const F added = across_lanes(lanes, Sum{});
    // Where the maximum has not changed, the difference could be of two infinities; what has seen nothing is zero.
    const __mmask16 changed =
        _mm512_cmp_ps_mask(old, maximum, _CMP_NEQ_UQ) & _mm512_cmp_ps_mask(old, set(-infinity), _CMP_NEQ_UQ);
    const F less = Vec::mul(Vec::sub(old, maximum), set(kLog2E));
    const F correction = _mm512_mask_blend_ps(changed, set(1.0f), exp2_vec(less));
    const F sum = _mm512_maskz_loadu_ps(present, t.sum);
    _mm512_mask_storeu_ps(t.sum, present, Vec::fma(sum, correction, added));
    _mm512_mask_storeu_ps(t.maximum, present, maximum);
    Vec::store(t.correction, correction);
}

}  // namespace
