/** @file quant_wide_inl.hpp
 *  Many rows of 8-bit activations times quantised weights, in groups of 256. With groups of 32 a fifth of the
 * multiplications turns integer sums into floats, and 4-bit codes are unpacked again for every few rows. So a piece of
 * a panel is given codes of 8 bits with one scale per 256 depths, once for several hundred rows, and integer sums run
 * on for as long. They then are all that has to stay in registers, which makes room for twice the rows in a tile: fewer
 * loads for as many products.
 *
 *  The new code of a weight is `(code - zero) * scale / wide scale` to the nearest whole number, in integers: with 14
 * bits for the ratio of the scales, by what vpmulhrsw computes, `(x * y + 2^14) >> 15`. Halves of a code's step or a
 * sixteenth of it (zero points) are whole numbers there. Included behind `Dot` where one instruction multiplies and
 * sums four bytes; without such an instruction 4-bit codes are cheaper as they are.
 */

namespace {

/** 1.0 as the ratio of two scales, and what the largest ratio with zero points is divided by. */
constexpr float kRatioOne = 16384.0f;
constexpr int kWideParts = static_cast<int>(kWideGroup / kQuantGroup);

void quantise_wide_row(const float* x, int64_t n, int64_t depth, std::byte* row) {
    quantise_groups<static_cast<int>(kWideGroup)>(x, n, depth, row);
}

/** One group of 32 depths: codes of `Bits` become codes of 8 bits. `zeros` and `factors` hold two 16-bit numbers each;
 * `flip`: four bytes that turn signed codes into those that are wanted.
 */
template <int Bits>
void recode_group(const uint8_t* codes, const uint32_t* zeros, const uint32_t* factors, const std::byte* flip,
                  uint8_t* out) {
    using B = Dot::B;
    const B flips = Dot::broadcast(flip);
    constexpr int kLine = 4 * kLanes, kLines = Bits == 4 ? 4 : 8;
    for (int o = 0; o < kLanes; o += Dot::kWidth) {
        const B zero = Dot::load(zeros + o), factor = Dot::load(factors + o);
        for (int line = 0; line < kLines; ++line) {
            const B loaded = Dot::load(codes + line * kLine + 4 * o);
            if constexpr (Bits == 4) {
                Dot::write(out + 2 * line * kLine + 4 * o, Dot::recoded<5>(Dot::low(loaded), zero, factor, flips));
                Dot::write(out + (2 * line + 1) * kLine + 4 * o,
                           Dot::recoded<5>(Dot::high(loaded), zero, factor, flips));
            } else {
                Dot::write(out + line * kLine + 4 * o, Dot::recoded<1>(loaded, zero, factor, flips));
            }
        }
    }
}

/** One wide group, of `parts` groups from `group` on. */
template <int Bits>
void recode_wide(const uint8_t* panel, const QuantLayout& layout, int64_t group, int parts, const std::byte* flip,
                 uint8_t* codes, float* wide_scales) {
    float scales[kWideParts][kLanes], largest[kLanes] = {};
    uint32_t zeros[kWideParts][kLanes], factors[kWideParts][kLanes];
    for (int p = 0; p < parts; ++p) {
        const uint8_t* scales_at = panel + layout.scales(group + p);
        const uint8_t* zeros_at = panel + layout.zeros(group + p);
        for (int o = 0; o < kLanes; ++o) {
            const int32_t zero = Bits == 4 ? zeros_at[o] : 128;
            const int32_t reach = Bits == 4 ? (zero > 240 - zero ? zero : 240 - zero) : 1;
            scales[p][o] = scale_value(scales_at[o], panel[o]);
            const float most = scales[p][o] * static_cast<float>(reach);
            largest[o] = most > largest[o] ? most : largest[o];
            zeros[p][o] = static_cast<uint32_t>(2 * zero) * 0x10001u;
        }
    }
    // Without zero points the largest scale itself; with them, what brings the farthest weight to 127.
    for (int o = 0; o < kLanes; ++o) wide_scales[o] = largest[o] * (Bits == 4 ? 1.0f / (16 * 127) : 1.0f);
    constexpr float kFull = Bits == 4 ? 127 * kRatioOne : kRatioOne;
    for (int p = 0; p < parts; ++p) {
        for (int o = 0; o < kLanes; ++o) {
            const auto ratio = static_cast<int32_t>(scales[p][o] / largest[o] * kFull + 0.5f);
            factors[p][o] = static_cast<uint32_t>(ratio) * 0x10001u;
        }
        recode_group<Bits>(panel + layout.codes(group + p), zeros[p], factors[p], flip, codes + p * kDepths * kLanes);
    }
}

void recode(const std::byte* panel, const QuantLayout& layout, int64_t begin, int64_t depth, bool is_signed,
            uint8_t* codes, float* scales) {
    constexpr std::byte flips[2][4] = {{std::byte{128}, std::byte{128}, std::byte{128}, std::byte{128}}, {}};
    const auto* bytes = reinterpret_cast<const uint8_t*>(panel);
    for (int64_t k = 0; k < depth; k += kWideGroup, codes += kWideGroup * kPanel, scales += kPanel) {
        const int64_t left = depth - k, group = (begin + k) / kQuantGroup;
        const int parts = left < kWideGroup ? static_cast<int>(left / kQuantGroup) : kWideParts;
        (layout.bits == 4 ? recode_wide<4> : recode_wide<8>)(bytes, layout, group, parts, flips[is_signed ? 1 : 0],
                                                             codes, scales);
    }
}

/** MR rows times some columns of the piece. `ahead`: a line of 64 bytes is fetched for every 4 depths; NULL: none. */
template <int MR, bool Fetch>
void wide_tile(const WideProduct& p, const std::byte* a, int64_t column, float* c, const std::byte* ahead) {
    constexpr int NV = Dot::kTileVecs;
    using F = Dot::F;
    using B = Dot::B;
    const uint8_t* codes = p.codes + 4 * column;
    const std::byte* x = a + p.begin;
    const std::byte* scales_at = a + p.row_depth + p.begin / kWideGroup * 4;
    const int64_t offsets_at = wide_groups(p.row_depth) * 4;
    const float* scales = p.scales + column;
    for (int64_t left = p.depth; left > 0; left -= kWideGroup, scales_at += 4, scales += kPanel) {
        B dots[MR][NV];
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m)
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) dots[m][v] = Dot::none();
        for (int64_t k = left < kWideGroup ? left : kWideGroup; k > 0; k -= 4, codes += 4 * kPanel, x += 4) {
            B b[NV];
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) b[v] = Dot::load(codes + 4 * v * Dot::kWidth);
            if constexpr (Fetch) {
                __builtin_prefetch(ahead, 0, 2);
                ahead += 64;
            }
#pragma GCC unroll 16
            for (int m = 0; m < MR; ++m) {
                const B first = Dot::broadcast(x + m * p.lda);
#pragma GCC unroll 4
                for (int v = 0; v < NV; ++v) dots[m][v] = Dot::dot(dots[m][v], b[v], first);
            }
        }
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            const F scale = Dot::spread(scales_at + m * p.lda);
            const B offset = Dot::broadcast(scales_at + m * p.lda + offsets_at);
#pragma GCC unroll 4
            for (int v = 0; v < NV; ++v) {
                float* sum = c + m * p.ldc + v * Dot::kWidth;
                const F exact = Dot::real(Dot::plus(dots[m][v], offset));
                const F both = Dot::mul(Dot::read(scales + v * Dot::kWidth), scale);
                Dot::store(sum, Dot::fma(exact, both, Dot::read(sum)));
            }
        }
    }
}

template <int MR, bool Fetch>
void wide_tiles(const WideProduct& p, const std::byte* a, float* c, const std::byte* ahead) {
    constexpr int64_t kColumns = Dot::kTileVecs * Dot::kWidth;
    wide_tile<MR, Fetch>(p, a, 0, c, ahead);
    for (int64_t column = kColumns; column < kPanel; column += kColumns)
        wide_tile<MR, false>(p, a, column, c + column, nullptr);
}

template <int MR>
void wide_remaining(const WideProduct& p, const std::byte* a, float* c, int64_t rows) {
    if constexpr (MR > 0) {
        if (rows == MR) return wide_tiles<MR, false>(p, a, c, nullptr);
        wide_remaining<MR - 1>(p, a, c, rows);
    }
}

void gemm_wide(const WideProduct& p) {
    constexpr int kRows = Dot::kWideRows;
    const std::byte* a = p.a;
    float* c = p.c;
    int64_t rows = p.rows, fetched = 0;
    const int64_t fetch_at_once = p.depth / 4 * 64;
    for (; rows >= kRows; rows -= kRows, a += kRows * p.lda, c += kRows * p.ldc) {
        if (fetched < p.ahead_bytes) {
            wide_tiles<kRows, true>(p, a, c, p.ahead + fetched);
            fetched += fetch_at_once;
        } else {
            wide_tiles<kRows, false>(p, a, c, nullptr);
        }
    }
    wide_remaining<kRows - 1>(p, a, c, rows);
}

constexpr QuantKernels with_wide_groups(QuantKernels table) {
    table.quantise_wide_row = quantise_wide_row;
    table.recode = recode;
    table.gemm_wide = gemm_wide;
    return table;
}

}  // namespace
