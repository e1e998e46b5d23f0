/** @file quant.hpp
 *  How quantised weights lie in memory, and the kernels that read them.
 *
 *  Depth is cut into groups of 32. A group of one output has 4-bit or 8-bit codes, a scale, and for 4 bits a zero
 * point: `w = scale * (code - zero)`. Small groups keep one large weight from costing its neighbours their precision;
 * what they cost is kept small by storing the scale as 4 bits of exponent and 4 of mantissa below a power of two that
 * belongs to the output, and the zero point in sixteenths of a step. That is 4.5 and 8.25 bits per weight (and one byte
 * per output). The codes are chosen for the scale as it is stored, so its rounding does no harm of its own. A zero
 * point that is no whole number lets 16 levels lie where the weights of the group are.
 *
 *  A panel has 32 outputs, as everywhere (kernels.hpp). It begins with 32 bytes, per output the biased exponent of its
 * smallest scale, padded to 64. Then follow blocks, of two groups with 4 bits, of all groups with 8:
 *  - scales, `[groups][32]` bytes,
 *  - zero points, `[groups][32]` bytes, for 4 bits only,
 *  - codes, unsigned: 8 bits `[depth / 4][32][4]`, which is what vpdpbusd reads (zero is 128), and the int8 tiles of
 * AMX in a signed copy; 4 bits `[depth / 8][32][4]`, where the low halves are four depths and the high halves the next
 * four.
 *  So a panel of 4 bits is one stream of whole cache lines; with all scales and zero points in front of all codes it
 * would be three, of which the short ones cost more than their ninth of the bytes. With 8 bits they are a thirtieth,
 * and blocks of two groups gained nothing.
 *
 *  Activations are quantised per row and group: 8 bits, symmetric, with an f32 scale. The dot product of a group is
 * then exact in integers, and one fused multiply-add per group, in rising order, makes the sum. So the result is the
 * same to the bit on every instruction set, for every number of rows and of threads.
 *
 *  Many rows leave that order for a faster one, where the processor multiplies bytes (VNNI, AMX): from 128 on they are
 * multiplied in groups of 256 (quant_wide_inl.hpp). There, too, neither threads nor the number of rows change a bit,
 * and in either order tiles (linear_amx.cpp) give what vectors do.
 */
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "host/compute/cpu/kernels.hpp"

namespace vlm::cpu {

/** Depth that shares a scale. */
inline constexpr int64_t kQuantGroup = 32;
/** Depth of quantised panels is padded to this: an int8 tile of AMX, and regions that begin on cache lines. */
inline constexpr int64_t kQuantDepth = 64;
/** Largest magnitude that can be quantised: squares of differences still fit a float. */
inline constexpr float kQuantLimit = 0x1p60f;

/** Offsets in a panel, in bytes. */
struct QuantLayout {
    int64_t bits;    ///< 4 or 8.
    int64_t groups;  ///< Padded depth / kQuantGroup.

    /** @param depth  true or padded depth. */
    static constexpr QuantLayout of(int64_t bits, int64_t depth) {
        return {bits, (depth + kQuantDepth - 1) / kQuantDepth * (kQuantDepth / kQuantGroup)};
    }
    constexpr int64_t depth() const { return groups * kQuantGroup; }
    constexpr int64_t group_bytes() const { return kPanel * kQuantGroup * bits / 8; }
    constexpr int64_t block_groups() const {
        return bits == 4 ? kQuantDepth / kQuantGroup : std::max<int64_t>(groups, 1);
    }
    /** Scales and zero points of a block. */
    constexpr int64_t head_bytes() const { return block_groups() * kPanel * (bits == 4 ? 2 : 1); }
    constexpr int64_t block_bytes() const { return head_bytes() + block_groups() * group_bytes(); }
    constexpr int64_t block(int64_t index) const { return 64 + index * block_bytes(); }
    constexpr int64_t bytes() const { return block(groups / block_groups()); }

    constexpr int64_t scales(int64_t group) const {
        return block(group / block_groups()) + group % block_groups() * kPanel;
    }
    /** For 4 bits only. */
    constexpr int64_t zeros(int64_t group) const { return scales(group) + block_groups() * kPanel; }
    constexpr int64_t codes(int64_t group) const {
        return block(group / block_groups()) + head_bytes() + group % block_groups() * group_bytes();
    }
    /** Tells `product` to fetch the codes that are read after it: `depth` depths of `panel` from `begin` on, multiples
     * of kQuantGroup. NULL: nothing is known. */
    template <class Product>
    void set_ahead(Product& product, const std::byte* panel, int64_t begin, int64_t depth) const {
        if (panel == nullptr) return;
        const int64_t first = begin / kQuantGroup, last = first + depth / kQuantGroup - 1;
        product.ahead = panel + codes(first);
        product.ahead_bytes = codes(last) + group_bytes() - codes(first);
    }
};

/** One row of quantised activations: codes `[depth]` int8, then f32 scales `[groups]`, then int32 `[groups]` of -128
 * times the sum of the group's codes, which is what the zero point of 8 bits adds. Bytes per row, a multiple of 64.
 *  @param depth  padded depth. */
constexpr int64_t quant_row_bytes(int64_t depth) {
    return (depth + depth / kQuantGroup * 8 + 63) / 64 * 64;
}

/** Depth that shares a scale where many rows are multiplied (quant_wide_inl.hpp). 256: what keeps the tiles of AMX busy
 * (amx_kernels_inl.hpp), while as few activations as possible share a scale. */
inline constexpr int64_t kWideGroup = 256;
/** Rows from which on that is done: fewer do not make up for recoding the weights, and a sequence that decodes, with
 * guessed tokens too, stays below and so gives the same bits as token by token. */
inline constexpr int64_t kWideMinRows = 128;

/** Wide groups of a padded depth; the last may be half a one. */
constexpr int64_t wide_groups(int64_t depth) {
    return (depth + kWideGroup - 1) / kWideGroup;
}

/** Bytes of a row of activations in wide groups, otherwise as quant_row_bytes. An odd number of cache lines: else the
 * rows of a tile could meet in a few sets of the first-level cache.
 *  @param depth  padded depth. */
constexpr int64_t wide_row_bytes(int64_t depth) {
    return (depth + wide_groups(depth) * 8 + 63) / 64 / 2 * 128 + 64;
}

/** `c[rows][32] += a piece` for depths [begin, begin + depth) of a panel, which `recode` has made a piece of: `codes`
 * as a panel of 8 bits has them, `scales` `[wide groups][32]`. */
struct WideProduct {
    const std::byte* a;  ///< Rows of quantise_wide_row.
    int64_t lda;         ///< In bytes.
    int64_t row_depth;   ///< Padded depth of the whole row.
    int64_t begin;       ///< Multiple of kWideGroup.
    int64_t depth;
    const uint8_t* codes;
    const float* scales;
    float* c;
    int64_t ldc;  ///< In elements.
    int64_t rows;
    const std::byte* ahead;  ///< Memory that is read next and should be fetched, or NULL.
    int64_t ahead_bytes;
};

/** `c[rows][32] = a panel` over the whole depth; `lda` in bytes, `ldc` in elements, `depth` padded. */
using QuantGemm = void (*)(const std::byte* a, int64_t lda, const std::byte* panel, int64_t depth, float* c,
                           int64_t ldc, int64_t rows);

/** What a tile of few rows holds in registers: rows by vectors of outputs, and the vectors of a single row. */
struct QuantTile {
    int rows, vecs, row_vecs;
};

struct QuantKernels {
    const char* name;  ///< "avx2", "avx_vnni", "avx512_vnni", …
    QuantGemm gemm_int4;
    QuantGemm gemm_int8;
    /** Quantises `n` floats to a row of `depth`. A group that holds a NaN or infinity gets the scale NaN, which then
     * reaches every output as it would in f32. */
    void (*quantise_row)(const float* x, int64_t n, int64_t depth, std::byte* row);
    /** Quantises `weights[depth][32]` (padded depth, zeros behind the true one) to a panel. False when a weight is no
     * number or larger than kQuantLimit. */
    bool (*quantise_panel)(const float* weights, const QuantLayout& layout, std::byte* panel);
    /** Weights of depths [begin, begin + depth) as f32 `[depth][32]`. */
    void (*dequantise)(const std::byte* panel, const QuantLayout& layout, int64_t begin, int64_t depth, float* out);
    /** The same depths, multiples of kQuantGroup, as tiles multiply them: codes of 8 bits `[depth / 4][32][4]`, signed,
     * and per group of 32 `[32]` scales and `[32]` factors of a row's offsets, which take the zero points off: 0 for
     * 8 bits, whose zero points are off already. */
    void (*unpack)(const std::byte* panel, const QuantLayout& layout, int64_t begin, int64_t depth, int8_t* codes,
                   float* scales, float* zeros);
    /** `n` numbers of half precision, a multiple of 32, as f32. */
    void (*expand_f16)(const uint16_t* halves, int64_t n, float* out);
    /** Many rows in wide groups; all three NULL where that does not pay. quantise_row in wide groups. */
    void (*quantise_wide_row)(const float* x, int64_t n, int64_t depth, std::byte* row);
    /** Depths [begin, begin + depth) of a panel as a piece with one scale per wide group, see WideProduct. `begin` is a
     * multiple of kWideGroup, `depth` too or what is left. Codes are 128 above their weights, or `is_signed`. */
    void (*recode)(const std::byte* panel, const QuantLayout& layout, int64_t begin, int64_t depth, bool is_signed,
                   uint8_t* codes, float* scales);
    void (*gemm_wide)(const WideProduct& product);
};

/** The table for active_isa() and active_features(). */
const QuantKernels& quant_kernels();

namespace detail {
const QuantKernels& scalar_quant_kernels();
#if defined(__x86_64__)
const QuantKernels& avx2_quant_kernels();
const QuantKernels& avx_vnni_quant_kernels();
const QuantKernels& avx512_quant_kernels();
const QuantKernels& avx512_vnni_quant_kernels();
#endif
}  // namespace detail

}  // namespace vlm::cpu
