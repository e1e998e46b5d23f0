/** @file rows_inl.hpp
 *  Loops over one row: norms, softmax, epilogues. Each walks its row two or three times, which the first-level cache
 * makes cheap; sums of squares are taken around the mean (two passes) because one pass loses digits. Included once per
 * instruction set.
 */

namespace {

/** The number of lanes of a whole vector, as a type: the loop over whole vectors is compiled without any test for the
 * end. */
struct Whole {};

/** Calls `fn(i, n)` for every vector of the row; n is `Whole`, or for the last the number of lanes that are left. */
template <class Fn>
inline void for_vectors(int64_t n, Fn fn) {
    int64_t i = 0;
    for (; i + Vec::kWidth <= n; i += Vec::kWidth) fn(i, Whole{});
    if (i < n) fn(i, n - i);
}

inline F get(const float* p, Whole) {
    return Vec::load(p);
}
inline F get(const float* p, int64_t n) {
    return Vec::load_part(p, n);
}
inline void put(float* p, F x, Whole) {
    Vec::store(p, x);
}
inline void put(float* p, F x, int64_t n) {
    Vec::store_part(p, x, n);
}
/** Lanes behind the end become `other`. */
inline F cut(F x, Whole, float) {
    return x;
}
inline F cut(F x, int64_t n, float other) {
    alignas(64) float lanes[Vec::kWidth];
    Vec::store(lanes, x);
    for (int64_t i = n; i < Vec::kWidth; ++i) lanes[i] = other;
    return Vec::load(lanes);
}
inline F masked(F x, const uint8_t* mask, Whole) {
    return Vec::masked(x, mask, Vec::kWidth);
}
inline F masked(F x, const uint8_t* mask, int64_t n) {
    return Vec::masked(x, mask, n);
}

void epilogue_row(const EpilogueRow& row) {
    for_vectors(row.n, [&](int64_t i, auto n) {
        F x = get(row.sum + i, n);
        if (row.bias != nullptr) x = Vec::add(x, get(row.bias + i, n));
        if (row.activation != VLM_ACT_NONE) x = activate(row.activation, x);
        if (row.up != nullptr) {
            F up = get(row.up + i, n);
            if (row.up_bias != nullptr) up = Vec::add(up, get(row.up_bias + i, n));
            x = Vec::mul(x, up);
        }
        x = Vec::mul(x, row.scale != nullptr ? get(row.scale + i, n) : set(row.scale_all));
        if (row.residual != nullptr) x = Vec::add(get(row.residual + i, n), x);
        put(row.out + i, x, n);
    });
}

void softmax_step_row(SoftmaxStep& step) {
    float* s = step.logits;
    const float infinity = __builtin_inff();
    F top = set(-infinity);
    for_vectors(step.n, [&](int64_t i, auto n) {
        F x = Vec::mul(get(s + i, n), set(step.scale));
        if (step.softcap != 0.0f) x = Vec::mul(set(step.softcap), tanh_vec(Vec::div(x, set(step.softcap))));
        if (step.bias != nullptr) x = Vec::add(x, get(step.bias + i, n));
        if (step.mask != nullptr) x = masked(x, step.mask + i, n);
        put(s + i, x, n);
        top = Vec::max(top, cut(x, n, -infinity));
    });
    const float before = step.maximum;
    const float best = Vec::largest(top);
    const float maximum = best > before ? best : before;
    step.maximum = maximum;
    if (maximum == -infinity) {
        for (int64_t i = 0; i < step.n; ++i) {
            s[i] = s[i] == s[i] ? 0.0f : s[i];  // Maxima lose NaN; it has to go on.
            step.sum += s[i];
        }
        step.correction = 1.0f;
        return;
    }
    F sum = set(0.0f);
    for_vectors(step.n, [&](int64_t i, auto n) {
        const F e = exp_vec(Vec::sub(get(s + i, n), set(maximum)));
        put(s + i, e, n);
        sum = Vec::add(sum, cut(e, n, 0.0f));
    });
    alignas(64) float lanes[Vec::kWidth];
    Vec::store(lanes, exp_vec(set(before - maximum)));
    step.correction = before == maximum ? 1.0f : lanes[0];
    step.sum = step.sum * step.correction + Vec::sum(sum);
}

void activation_row(uint32_t act, const float* x, float* y, int64_t count) {
    for_vectors(count, [&](int64_t i, auto n) { put(y + i, activate(act, get(x + i, n)), n); });
}

void layer_norm_row(const float* x, const float* gamma, const float* beta, float eps, float* y, int64_t count) {
    F sum = set(0.0f);
    for_vectors(count, [&](int64_t i, auto n) { sum = Vec::add(sum, get(x + i, n)); });
    const float mean = Vec::sum(sum) / static_cast<float>(count);
    F squares = set(0.0f);
    for_vectors(count, [&](int64_t i, auto n) {
        const F d = cut(Vec::sub(get(x + i, n), set(mean)), n, 0.0f);
        squares = Vec::fma(d, d, squares);
    });
    const float inverse = 1.0f / __builtin_sqrtf(Vec::sum(squares) / static_cast<float>(count) + eps);
    for_vectors(count, [&](int64_t i, auto n) {
        F v = Vec::mul(Vec::sub(get(x + i, n), set(mean)), set(inverse));
        if (gamma != nullptr) v = Vec::mul(v, get(gamma + i, n));
        if (beta != nullptr) v = Vec::add(v, get(beta + i, n));
        put(y + i, v, n);
    });
}

float sum_of_squares(const float* x, int64_t count) {
    F squares = set(0.0f);
    for_vectors(count, [&](int64_t i, auto n) {
        const F v = get(x + i, n);
        squares = Vec::fma(v, v, squares);
    });
    return Vec::sum(squares);
}

void rms_norm_row(const float* x, const float* gamma, float eps, float offset, float* y, int64_t count) {
    const float inverse = 1.0f / __builtin_sqrtf(sum_of_squares(x, count) / static_cast<float>(count) + eps);
    for_vectors(count, [&](int64_t i, auto n) {
        F v = Vec::mul(get(x + i, n), set(inverse));
        if (gamma != nullptr) v = Vec::mul(v, Vec::add(set(offset), get(gamma + i, n)));
        put(y + i, v, n);
    });
}

void scale_row(const float* x, float scale, float* y, int64_t count) {
    for_vectors(count, [&](int64_t i, auto n) { put(y + i, Vec::mul(get(x + i, n), set(scale)), n); });
}

void l2_normalize_row(const float* x, float eps, float* y, int64_t count) {
    const float norm = __builtin_sqrtf(sum_of_squares(x, count));
    const F divisor = set(norm > eps || norm != norm ? norm : eps);
    for_vectors(count, [&](int64_t i, auto n) { put(y + i, Vec::div(get(x + i, n), divisor), n); });
}

void softmax_row(const float* x, float* y, int64_t count) {
    const float infinity = __builtin_inff();
    F top = set(-infinity);
    for_vectors(count, [&](int64_t i, auto n) { top = Vec::max(top, cut(get(x + i, n), n, -infinity)); });
    const F maximum = set(Vec::largest(top));
    F sum = set(0.0f);
    for_vectors(count, [&](int64_t i, auto n) {
        const F e = exp_vec(Vec::sub(get(x + i, n), maximum));
        put(y + i, e, n);
        sum = Vec::add(sum, cut(e, n, 0.0f));
    });
    const F total = set(Vec::sum(sum));
    for_vectors(count, [&](int64_t i, auto n) { put(y + i, Vec::div(get(y + i, n), total), n); });
}

void add_row(const float* a, const float* b, float scale, float* y, int64_t count) {
    for_vectors(
        count, [&](int64_t i, auto n) { put(y + i, Vec::add(get(a + i, n), Vec::mul(set(scale), get(b + i, n))), n); });
}

void multiply_row(const float* a, const float* b, float* y, int64_t count) {
    for_vectors(count, [&](int64_t i, auto n) { put(y + i, Vec::mul(get(a + i, n), get(b + i, n)), n); });
}

void to_bf16_row(const float* x, uint16_t* y, int64_t count) {
    int64_t i = 0;
    for (; i + Vec::kWidth <= count; i += Vec::kWidth) Vec::store_bf16(y + i, Vec::load(x + i));
    if (i == count) return;
    alignas(64) uint16_t last[Vec::kWidth];
    Vec::store_bf16(last, Vec::load_part(x + i, count - i));
    for (int64_t k = i; k < count; ++k) y[k] = last[k - i];
}

void to_f16_row(const float* x, uint16_t* y, int64_t count) {
    int64_t i = 0;
    for (; i + Vec::kWidth <= count; i += Vec::kWidth) Vec::store_f16(y + i, Vec::load(x + i));
    if (i == count) return;
    alignas(64) uint16_t last[Vec::kWidth];
    Vec::store_f16(last, Vec::load_part(x + i, count - i));
    for (int64_t k = i; k < count; ++k) y[k] = last[k - i];
}

float to_int8_row(const float* x, int8_t* y, int64_t count) {
    F top = set(0.0f), products = set(0.0f);
    for_vectors(count, [&](int64_t i, auto n) {
        const F v = cut(get(x + i, n), n, 0.0f);
        top = Vec::max(top, Vec::abs(v));
        products = Vec::fma(v, set(0.0f), products);  // NaN as soon as one element is not finite
    });
    const float largest = Vec::largest(top), check = Vec::sum(products);
    const bool finite = check == check;
    const float scale = largest / 127.0f;
    const F inverse = set(finite && scale > 0.0f ? 1.0f / scale : 0.0f);
    // Tiny rows, whose inverse is no number, become zeros too: they are below 1e-36.
    const bool usable = finite && 1.0f / scale <= 3e38f;
    for_vectors(count, [&](int64_t i, auto n) {
        const F v = usable ? Vec::round(Vec::mul(get(x + i, n), inverse)) : set(0.0f);
        alignas(64) int8_t lanes[Vec::kWidth];
        Vec::store_int8(lanes, Vec::min(set(127.0f), Vec::max(set(-127.0f), v)));
        if constexpr (requires { n < 0; }) {
            for (int64_t k = 0; k < n; ++k) y[i + k] = lanes[k];
        } else {
            __builtin_memcpy(y + i, lanes, Vec::kWidth);
        }
    });
    return finite ? (usable ? scale : 0.0f) : check;
}

void f16_to_f32_row(const uint16_t* x, float* y, int64_t count, const void* ahead) {
    for (int64_t i = 0; i < count; i += 32) {
        __builtin_prefetch(static_cast<const uint16_t*>(ahead) + i);
        for (int64_t k = i; k < i + 32; k += Vec::kWidth) Vec::store(y + k, Vec::load_f16(x + k));
    }
}

void int8_to_bf16_row(const int8_t* x, uint16_t* y, int64_t count, const void* ahead) {
    for (int64_t i = 0; i < count; i += 64) {
        __builtin_prefetch(static_cast<const int8_t*>(ahead) + i);
        for (int64_t k = i; k < i + 64; k += Vec::kWidth) Vec::store_high(y + k, Vec::load_int8(x + k));
    }
}

}  // namespace
