/** @file merged_inl.hpp
 *  Logits of one query with a key that stands at several positions. Turning the key by an angle is linear in the cosine
 * and the sine of that angle, so query and key are multiplied once, pair by pair, and a position costs one dot product
 * with its row of the table instead of a turned key. Included once per instruction set.
 */

namespace {

void merged_logits(const MergedKey& m) {
    const int64_t half = m.rotary;
    for_vectors(half, [&](int64_t i, auto n) {
        const F q = get(m.query + i, n), r = get(m.query + half + i, n);
        const F k = get(m.key + i, n), l = get(m.key + half + i, n);
        put(m.by_cos + i, Vec::fma(r, l, Vec::mul(q, k)), n);
        put(m.by_sin + i, Vec::sub(Vec::mul(r, k), Vec::mul(q, l)), n);
    });
    F still = set(0.0f);
    for_vectors(m.dim - 2 * half, [&](int64_t i, auto n) {
        still = Vec::fma(get(m.query + 2 * half + i, n), get(m.key + 2 * half + i, n), still);
    });
    const float rest = Vec::sum(still);
    for (int64_t p = 0; p < m.count; ++p) {
        const float *cos = m.cos + m.positions[p] * half, *sin = m.sin + m.positions[p] * half;
        F sum = set(0.0f);
        for_vectors(half, [&](int64_t i, auto n) {
            sum = Vec::fma(get(cos + i, n), get(m.by_cos + i, n), sum);
            sum = Vec::fma(get(sin + i, n), get(m.by_sin + i, n), sum);
        });
        m.logits[m.positions[p]] = rest + Vec::sum(sum);
    }
}

}  // namespace
