/** @file linear_amx.cpp
 *  What the tile kernels are fed with, and how large the blocks are. A step of depth has 16 KB of a panel (256 depths
 * in bf16, 512 in int8) and as much of 32 rows of activations. With 4 KB of sums, and 4 KB that int8 needs between
 * tiles and output, that is 40 KB, so a panel's part stays in a first-level cache of 48 KB until the last row has
 * passed; steps of twice the depth would push it out with every 32 rows. Activations come from the second level at 32
 * bytes a cycle, sums at 8 (bf16: 16), which is below the 48 or so that it gives. In it lie a step's activations and
 * the sums of up to 640 rows and four panels (320 KB each), and of 2 MB enough is left for all depths of the
 * activations of most layers in int8; else they come once per four panels from the third level, 8 bytes a cycle. All
 * rows to one block, because each block reads the weights again and, in int8, recodes them.
 *
 *  **Quantised weights** are multiplied in int8, to the bit as without AMX (quant.hpp): from 128 rows on in wide
 * groups, recoded like those of linear_wide.cpp; below that in the groups of 32 that they are stored in, so that
 * decoding with guessed tokens or many sequences does not leave the numbers of decoding one by one. Counted in cycles,
 * 512 depths of a panel take
 * - with VNNI, groups of 32: 160 a row;
 * - with tiles, groups of 32: 64 a row, and 500 for unpacking;
 * - with tiles, expanded to bf16: 32 a row, and 4500 for expanding;
 * - with tiles, wide groups: 16 a row, and 2300 for recoding;
 * - from memory: 4300 (int8) or 2400 (int4), at 12.5 GB/s a core of 3.2 GHz.
 *
 *  So up to 16 rows VNNI is enough, groups of 32 beat an expansion to bf16 up to 125 rows, and there wide groups begin.
 * (At 640 rows recoding is a sixth of the work: 12500 cycles to the 25000 of bf16.)
 *
 *  None of these numbers has been measured on a processor with AMX.
 */
#include "host/compute/cpu/linear_amx.hpp"

#include <algorithm>

#include "host/compute/cpu/linear_blocks.hpp"
#include "host/compute/cpu/linear_wide.hpp"
#include "host/compute/cpu/quant.hpp"

namespace vlm::cpu {

namespace {

/** Fewer rows would be half padding in bf16; quantised ones are not worth unpacking. */
constexpr int64_t kMinRowsBf16 = 32, kMinRowsQuantised = kExactRows + 1;
static_assert(kMinRowsBf16 > kExactRows);
constexpr int64_t kDepthBf16 = 256, kDepthInt8 = 512;
/** Rows that are multiplied together: two tiles. */
constexpr int64_t kBlockRows = 2 * kTileRows;
static_assert(kDepthInt8 % kWideGroup == 0 && kQuantDepth % kTileDepthInt8 == 0);

/** With rows of sums 512 bytes apart, the 32 of a block would fill a quarter of the first-level cache's sets alone. */
constexpr BlockCut cut_of(int64_t depth) {
    return {640, kBlockRows, 4, depth, kTileBytes / 4};
}

/** Rounds 16 rows to bf16 and lays them out tile by tile; rows behind the end become zeros. */
void pack_rows(const Kernels& kernels, const vlm_linear& layer, const Rows& x, int64_t row, int64_t rows,
               uint16_t* rounded, uint16_t* tiles) {
    for (int64_t r = 0; r < kTileRows; ++r) {
        int64_t filled = 0;
        if (row + r < rows) {
            kernels.to_bf16(x.row(row + r), rounded, layer.in);
            filled = layer.in;
        }
        std::fill(rounded + filled, rounded + layer.depth, uint16_t{0});
        for (int64_t k = 0; k < layer.depth; k += kTileDepthBf16)
            std::copy_n(rounded + k, kTileDepthBf16, tiles + k * kTileRows + r * kTileDepthBf16);
    }
}

/** What a thread multiplies in bf16. */
struct Bf16Product {
    const AmxKernels& amx;
    const uint16_t* a;
    int64_t row_tile;
    AmxScope scope{&amx};

    static const uint16_t* part(const std::byte* panel, int64_t begin) {
        return reinterpret_cast<const uint16_t*>(panel) + begin * kPanel;
    }
    void operator()(const BlockStep& step) const {
        TileProduct product{};
        product.a = a + step.row / kTileRows * row_tile + step.begin * kTileRows;
        product.row_tile_stride = row_tile;
        product.panel = part(step.panel, step.begin);
        product.depth = step.depth;
        product.c = step.c;
        product.ldc = step.ldc;
        product.rows = step.rows;
        product.accumulate = step.begin > 0;
        if (step.next_panel != nullptr) product.ahead = part(step.next_panel, step.next_begin);
        amx.gemm_bf16(product);
    }
};

void run_bf16(State& state, const AmxKernels& amx, const vlm_linear& layer, const Rows& x, int64_t rows, bool gated,
              const FinishBlock& finish) {
    const int64_t row_tiles = (rows + kTileRows - 1) / kTileRows, row_tile = kTileRows * layer.depth;
    const ScratchBuffer packed(state.scratch, checked_product(row_tiles, row_tile, 2));
    auto* a = packed.as<uint16_t>();
    state.pool.parallel_for(0, row_tiles, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer rounded(state.scratch, layer.depth * 2);
        for (int64_t t = begin; t < end; ++t)
            pack_rows(kernels(), layer, x, t * kTileRows, rows, rounded.as<uint16_t>(), a + t * row_tile);
    });
    walk_blocks(state, layer, rows, gated, cut_of(kDepthBf16), finish, [&] { return Bf16Product{amx, a, row_tile}; });
}

/** Activations in int8, tile by tile, with what belongs to their groups. */
struct QuantTiles {
    int64_t group;        ///< Depths that share a scale.
    int64_t groups;       ///< Of a row.
    int64_t row_tile;     ///< Bytes of 16 rows of tiles.
    int64_t row_factors;  ///< Floats of 32 rows, see TileGroups.
    int64_t row_bytes;    ///< Of a row as quantise_row or quantise_wide_row writes it.
    bool zeros;           ///< The weights have zero points.

    static QuantTiles of(const vlm_linear& layer, bool wide) {
        QuantTiles q{};
        q.group = wide ? kWideGroup : kQuantGroup;
        q.groups = (layer.depth + q.group - 1) / q.group;
        q.row_tile = kTileRows * (wide ? layer.depth : q.groups * kTileBytes);
        q.row_factors = q.groups * 2 * kBlockRows;
        q.row_bytes = wide ? wide_row_bytes(layer.depth) : quant_row_bytes(layer.depth);
        q.zeros = !wide && layer.type == WeightType::int4;
        return q;
    }
    bool wide() const { return group >= kTileDepthInt8; }
    /** Depth of a tile. */
    int64_t step() const { return std::min(group, kTileDepthInt8); }
};

/** Quantises 16 rows and lays them out. Behind the end of a row, and of the rows, tiles are zeros. */
void pack_quantised(const QuantTiles& q, const vlm_linear& layer, const Rows& x, int64_t row, int64_t rows,
                    std::byte* quantised, std::byte* tiles, float* factors) {
    const QuantKernels& kernels = quant_kernels();
    const auto quantise = q.wide() ? kernels.quantise_wide_row : kernels.quantise_row;
    if (row + kTileRows > rows || !q.wide()) std::fill_n(tiles, q.row_tile, std::byte{0});
    for (int64_t r = 0; r < std::min(kTileRows, rows - row); ++r) {
        quantise(x.row(row + r), layer.in, layer.depth, quantised);
        for (int64_t k = 0; k < layer.depth; k += q.step())
            std::copy_n(quantised + k, q.step(), tiles + (k / q.step() * kTileRows + r) * kTileBytes);
        const auto* scales = reinterpret_cast<const float*>(quantised + layer.depth);
        const auto* offsets = reinterpret_cast<const int32_t*>(scales + q.groups);
        for (int64_t g = 0; g < q.groups; ++g) {
            factors[g * 2 * kBlockRows + r] = scales[g];
            factors[(g * 2 + 1) * kBlockRows + r] = static_cast<float>(offsets[g]);
        }
    }
}

/** What a thread multiplies in int8. */
struct Int8Product {
    const AmxKernels& amx;
    const QuantTiles& q;
    const QuantLayout layout;
    const int8_t* a;
    const float* factors;
    AmxScope scope{&amx};

    void operator()(const BlockStep& step) const {
        constexpr int64_t kGroups = kDepthInt8 / kQuantGroup;  // at the most
        alignas(64) int8_t codes[kDepthInt8 * kPanel + kTileSpill];
        alignas(64) float scales[kGroups * kPanel], zeros[kGroups * kPanel];
        if (step.begin == 0) step.clear();
        if (q.wide()) {
            quant_kernels().recode(step.panel, layout, step.begin, step.depth, true, reinterpret_cast<uint8_t*>(codes),
                                   scales);
        } else {
            quant_kernels().unpack(step.panel, layout, step.begin, step.depth, codes, scales, zeros);
            std::fill_n(codes + step.depth * kPanel, kTileSpill, int8_t{0});
        }
        TileGroups product{};
        product.a = a + step.row / kTileRows * q.row_tile + step.begin / q.step() * kTileRows * kTileBytes;
        product.row_tile_stride = q.row_tile;
        product.row_factors = factors + step.row / kBlockRows * q.row_factors + step.begin / q.group * 2 * kBlockRows;
        product.row_factor_stride = q.row_factors;
        product.codes = codes;
        product.scales = scales;
        product.zeros = q.zeros ? zeros : nullptr;
        product.depth = step.depth;
        product.group = q.group;
        product.c = step.c;
        product.ldc = step.ldc;
        product.rows = step.rows;
        layout.set_ahead(product, step.next_panel, step.next_begin, step.depth);
        amx.gemm_groups(product);
    }
};

void run_int8(State& state, const AmxKernels& amx, const vlm_linear& layer, const Rows& x, int64_t rows, bool gated,
              const FinishBlock& finish) {
    const QuantTiles q = QuantTiles::of(layer, takes_wide_groups(state.options.mode, layer.type, rows));
    const int64_t row_tiles = (rows + kTileRows - 1) / kTileRows;
    const ScratchBuffer packed(state.scratch, checked_product(row_tiles, q.row_tile));
    const ScratchBuffer factors(state.scratch, checked_product((row_tiles + 1) / 2, q.row_factors, 4));
    auto* a = packed.as<std::byte>();
    state.pool.parallel_for(0, row_tiles, 1, [&](int64_t begin, int64_t end) {
        const ScratchBuffer quantised(state.scratch, q.row_bytes);
        for (int64_t t = begin; t < end; ++t)
            pack_quantised(q, layer, x, t * kTileRows, rows, quantised.as<std::byte>(), a + t * q.row_tile,
                           factors.as<float>() + t / 2 * q.row_factors + t % 2 * kTileRows);
    });
    const QuantLayout layout = QuantLayout::of(quant_bits(layer.type), layer.depth);
    walk_blocks(state, layer, rows, gated, cut_of(kDepthInt8), finish, [&] {
        return Int8Product{amx, q, layout, reinterpret_cast<const int8_t*>(a), factors.as<float>()};
    });
}

}  // namespace

const AmxKernels* amx_for(DenseEngine dense, Precision mode, WeightType type, int64_t rows) {
    if (mode != Precision::bf16) return nullptr;
    if (is_quantised(type)) return rows >= kMinRowsQuantised ? amx_kernels() : nullptr;
    if (dense == DenseEngine::onednn || type != WeightType::bf16 || rows < kMinRowsBf16) return nullptr;
    return amx_kernels();
}

void run_amx_blocks(State& state, const AmxKernels& amx, const vlm_linear& layer, const Rows& x, int64_t rows,
                    bool gated, const FinishBlock& finish) {
    (is_quantised(layer.type) ? run_int8 : run_bf16)(state, amx, layer, x, rows, gated, finish);
}

}  // namespace vlm::cpu
