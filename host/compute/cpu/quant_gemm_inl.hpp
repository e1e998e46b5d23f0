/** @file quant_gemm_inl.hpp
 *  Rows of 8-bit activations times a panel of 4-bit or 8-bit weights. Included once per instruction set, behind `Dot`.
 *
 *  Per group of 32 depths: integer dot products of all rows and outputs of the tile in registers, then scale and zero
 * point, once. The codes are unsigned and the activations signed, as vpdpbusd wants them, so a zero point is taken off
 * as `zero * sum of the activations' codes`; all of that is exact in integers and in f32. The zero point of 8 bits is
 * always 128, so with vpdpbusd the sum simply begins at the row's `-128 * sum`, which spares the multipliers, where
 * both live, a tenth of their work. With one row a panel is read from front to back at the speed of memory; with more,
 * the tile's rows share every code that is loaded and unpacked.
 */

namespace {

/** How far ahead of the codes memory is asked for, in bytes: what the hardware's prefetcher misses at the begin of
 * every panel and page. Several rows need it further ahead than one: their products fill the processor's window with
 * less of the panel. */
template <int MR>
constexpr int64_t kPrefetch = MR == 1 ? 3072 : 6144;

template <int Bits, int MR, int NV>
inline __attribute__((always_inline)) void quant_tile(const std::byte* a, int64_t lda, const std::byte* panel,
                                                      QuantLayout layout, int64_t column, float* c, int64_t ldc) {
    using F = Dot::F;
    using B = Dot::B;
    const auto* bytes = reinterpret_cast<const uint8_t*>(panel);
    const int64_t depth = layout.depth(), groups = layout.groups;
    F sums[MR][NV];
    B bases[NV];
#pragma GCC unroll 4
    for (int v = 0; v < NV; ++v) bases[v] = Dot::exponents(bytes + column + v * Dot::kWidth);
#pragma GCC unroll 10
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sums[m][v] = Dot::set(0.0f);
    constexpr int kLines = Bits == 4 ? 4 : 8;
    const uint8_t* block = bytes + layout.block(0);
    for (int64_t g = 0; g < groups; block += layout.block_bytes()) {
        if constexpr (Bits == 4) {
            __builtin_prefetch(block + kPrefetch<MR>);
            __builtin_prefetch(block + kPrefetch<MR> + 64);
        }
        const uint8_t* scales_at = block + column;
        const uint8_t* codes = block + layout.head_bytes() + 4 * column;
        for (const int64_t end = g + layout.block_groups(); g < end; ++g, scales_at += kPanel) {
            const auto scale_of = [&](int m) { return a + m * lda + depth + 4 * g; };
            const auto offset_of = [&](int m) { return scale_of(m) + 4 * groups; };
            Dot::Sum<Bits> dots[MR][NV];
#pragma GCC unroll 10
            for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
                for (int v = 0; v < NV; ++v) dots[m][v] = Dot::Sum<Bits>::begin(offset_of(m));
#pragma GCC unroll 8
            for (int line = 0; line < kLines; ++line, codes += 4 * kPanel) {
                __builtin_prefetch(codes + kPrefetch<MR>);
                __builtin_prefetch(codes + kPrefetch<MR> + 64);
                // Compilers gather the requests of a group at its begin, where they fill the queue of misses at once.
                asm volatile("" ::: "memory");
                B low[NV], high[NV];
#pragma GCC unroll 4
                for (int v = 0; v < NV; ++v) {
                    const B loaded = Dot::load(codes + 4 * v * Dot::kWidth);
                    low[v] = Bits == 4 ? Dot::low(loaded) : loaded;
                    if constexpr (Bits == 4) high[v] = Dot::high(loaded);
                }
                const std::byte* x = a + g * kQuantGroup + line * (Bits == 4 ? 8 : 4);
#pragma GCC unroll 10
                for (int m = 0; m < MR; ++m) {
                    const B first = Dot::broadcast(x + m * lda);
#pragma GCC unroll 4
                    for (int v = 0; v < NV; ++v) dots[m][v].add(low[v], first);
                    if constexpr (Bits == 4) {
                        const B second = Dot::broadcast(x + m * lda + 4);
#pragma GCC unroll 4
                        for (int v = 0; v < NV; ++v) dots[m][v].add(high[v], second);
                    }
                }
            }
            F scales[NV];
            [[maybe_unused]] F zeros[NV];
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                const uint8_t* at = scales_at + v * Dot::kWidth;
                scales[v] = Dot::scales(at, bases[v]);
                if constexpr (Bits == 4) zeros[v] = Dot::zeros(at + layout.zeros(0) - layout.scales(0));
            }
#pragma GCC unroll 10
            for (int m = 0; m < MR; ++m) {
                const F scale = Dot::spread(scale_of(m));
#pragma GCC unroll 4
                for (int v = 0; v < NV; ++v) {
                    F exact = dots[m][v].value(offset_of(m));
                    if constexpr (Bits == 4) exact = Dot::fma(zeros[v], Dot::whole(offset_of(m)), exact);
                    sums[m][v] = Dot::fma(exact, Dot::mul(scales[v], scale), sums[m][v]);
                }
            }
        }
    }
#pragma GCC unroll 10
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) Dot::store(c + m * ldc + v * Dot::kWidth, sums[m][v]);
}

/** All columns for exactly MR rows: a single row takes the whole width at once, more take it in slices. */
template <int Bits, int MR>
void quant_tiles(const std::byte* a, int64_t lda, const std::byte* panel, const QuantLayout& layout, float* c,
                 int64_t ldc) {
    constexpr QuantTile kTile = Dot::Sum<Bits>::kTile;
    constexpr int kVecs = MR == 1 ? kTile.row_vecs : kTile.vecs;
    for (int64_t column = 0; column < kPanel; column += kVecs * Dot::kWidth)
        quant_tile<Bits, MR, kVecs>(a, lda, panel, layout, column, c + column, ldc);
}

template <int Bits, int MR>
void quant_remaining(const std::byte* a, int64_t lda, const std::byte* panel, const QuantLayout& layout, float* c,
                     int64_t ldc, int64_t rows) {
    if constexpr (MR > 0) {
        if (rows == MR) return quant_tiles<Bits, MR>(a, lda, panel, layout, c, ldc);
        quant_remaining<Bits, MR - 1>(a, lda, panel, layout, c, ldc, rows);
    }
}

template <int Bits>
void quant_gemm(const std::byte* a, int64_t lda, const std::byte* panel, int64_t depth, float* c, int64_t ldc,
                int64_t rows) {
    constexpr int kRows = Dot::Sum<Bits>::kTile.rows;
    const QuantLayout layout = QuantLayout::of(Bits, depth);
    for (; rows >= kRows; rows -= kRows, a += kRows * lda, c += kRows * ldc)
        quant_tiles<Bits, kRows>(a, lda, panel, layout, c, ldc);
    quant_remaining<Bits, kRows - 1>(a, lda, panel, layout, c, ldc, rows);
}

void expand_f16(const uint16_t* halves, int64_t n, float* out) {
    for (int64_t i = 0; i < n; i += Dot::kWidth) Dot::store(out + i, Dot::half(halves + i));
}

constexpr QuantKernels make_quant_kernels(const char* name) {
    return {name,   quant_gemm<4>, quant_gemm<8>, quantise_row, quantise_panel, dequantise,
            unpack, expand_f16,    nullptr,       nullptr,      nullptr};
}

}  // namespace
