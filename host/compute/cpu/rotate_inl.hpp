/** @file rotate_inl.hpp
 *  Rotary positions of one row, and of keys that lie in panels. Keys of a panel stand side by side, so they are rotated
 * across: a vector holds one element of many keys. Included once per instruction set.
 */

namespace {

void rotate_row(const float* x, const float* cos, const float* sin, int64_t half, float* y) {
    for_vectors(half, [&](int64_t i, auto n) {
        const F a = get(x + i, n), b = get(x + half + i, n), c = get(cos + i, n), s = get(sin + i, n);
        put(y + i, Vec::sub(Vec::mul(a, c), Vec::mul(b, s)), n);
        put(y + half + i, Vec::add(Vec::mul(b, c), Vec::mul(a, s)), n);
    });
}

/** Line `line` of each column's panel, 32 bits per key. */
inline void read_line(const KeyPanel& panel, int64_t line, uint32_t* out) {
    for (int64_t c = 0; c < kPanel; ++c) out[c] = static_cast<const uint32_t*>(panel.columns[c])[line * kPanel];
}

void gather_keys_f32(const KeyPanel& panel) {
    auto* out = static_cast<uint32_t*>(panel.panel);
    alignas(64) float x[kPanel], y[kPanel];
    for (int64_t d = 0; d < panel.rotary; ++d) {
        alignas(64) uint32_t lines[2][kPanel];
        read_line(panel, d, lines[0]);
        read_line(panel, d + panel.rotary, lines[1]);
        __builtin_memcpy(x, lines[0], sizeof(x));
        __builtin_memcpy(y, lines[1], sizeof(y));
        const float *cos = panel.cos + d * panel.ld, *sin = panel.sin + d * panel.ld;
        for (int64_t v = 0; v < kPanel; v += Vec::kWidth) {
            const F a = Vec::load(x + v), b = Vec::load(y + v), c = Vec::load(cos + v), s = Vec::load(sin + v);
            Vec::store(x + v, Vec::sub(Vec::mul(a, c), Vec::mul(b, s)));
            Vec::store(y + v, Vec::add(Vec::mul(b, c), Vec::mul(a, s)));
        }
        __builtin_memcpy(out + d * kPanel, x, sizeof(x));
        __builtin_memcpy(out + (d + panel.rotary) * kPanel, y, sizeof(y));
    }
    for (int64_t d = 2 * panel.rotary; d < panel.dim; ++d) read_line(panel, d, out + d * kPanel);
}

/** Pairs of bf16 from two rows of floats. */
inline void store_pairs(const float* first, const float* second, uint32_t* out) {
    alignas(64) uint16_t low[kPanel], high[kPanel];
    for (int64_t v = 0; v < kPanel; v += Vec::kWidth) {
        Vec::store_bf16(low + v, Vec::load(first + v));
        Vec::store_bf16(high + v, Vec::load(second + v));
    }
    for (int64_t c = 0; c < kPanel; ++c) out[c] = static_cast<uint32_t>(low[c]) | static_cast<uint32_t>(high[c]) << 16;
}

void gather_keys_bf16(const KeyPanel& panel) {
    auto* out = static_cast<uint32_t*>(panel.panel);
    const int64_t half = panel.rotary / 2;
    for (int64_t k = 0; k < half; ++k) {
        alignas(64) uint32_t x[kPanel], y[kPanel];
        read_line(panel, k, x);
        read_line(panel, k + half, y);
        alignas(64) float a[2][kPanel], b[2][kPanel];
        for (int64_t odd = 0; odd < 2; ++odd) {
            const float *cos = panel.cos + (2 * k + odd) * panel.ld, *sin = panel.sin + (2 * k + odd) * panel.ld;
            for (int64_t v = 0; v < kPanel; v += Vec::kWidth) {
                const auto *px = reinterpret_cast<const uint16_t*>(x + v),
                           *py = reinterpret_cast<const uint16_t*>(y + v);
                const F p = odd != 0 ? Vec::odd(px) : Vec::even(px), q = odd != 0 ? Vec::odd(py) : Vec::even(py);
                const F c = Vec::load(cos + v), s = Vec::load(sin + v);
                Vec::store(a[odd] + v, Vec::sub(Vec::mul(p, c), Vec::mul(q, s)));
                Vec::store(b[odd] + v, Vec::add(Vec::mul(q, c), Vec::mul(p, s)));
            }
        }
        store_pairs(a[0], a[1], out + k * kPanel);
        store_pairs(b[0], b[1], out + (k + half) * kPanel);
    }
    for (int64_t k = 2 * half; 2 * k < panel.dim; ++k) read_line(panel, k, out + k * kPanel);
}

void join_pairs(const uint16_t* a, bool odd_a, const uint16_t* b, bool odd_b, uint16_t* out) {
    alignas(64) uint32_t first[kPanel], second[kPanel];
    __builtin_memcpy(first, a, sizeof(first));
    __builtin_memcpy(second, b, sizeof(second));
    const int low = odd_a ? 16 : 0, high = odd_b ? 0 : 16;
    for (int64_t c = 0; c < kPanel; ++c) first[c] = (first[c] >> low & 0xFFFFu) | (second[c] << high & 0xFFFF0000u);
    __builtin_memcpy(out, first, sizeof(first));
}

}  // namespace
