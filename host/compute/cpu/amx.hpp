/** @file amx.hpp
 *  Products with AMX tiles, for many rows. What a processor with AMX runs and what the tests run everywhere is one
 * template (amx_kernels_inl.hpp) over a policy: the instructions themselves, or a model of them in plain C++.
 *
 *  Blocking: an output block of 32 x 32 is four tiles; two tiles of activations and two of weights feed it, so every
 * byte that is loaded is used twice, and four multiplications of 16 cycles hide four loads of 8. The depth runs in
 * blocks whose part of a panel stays in the first-level cache while all rows pass by (linear_amx.cpp). Weights are the
 * panels that all kernels share: 16 pairs of depth by 16 outputs of them, or 16 quads, are a tile as it stands.
 * Activations are packed tile by tile while they are rounded, because 16 rows that lie a power of two apart would fall
 * into one set of the cache.
 *
 *  In int8 the tiles give whole numbers, which vectors have to scale per group of depths. See amx_kernels_inl.hpp for
 * what that costs, and how it is hidden.
 */
#pragma once
#include <cstdint>

#include "host/compute/cpu/kernels.hpp"

namespace vlm::cpu {

/** Rows, and bytes of a row, of a tile. */
inline constexpr int64_t kTileRows = 16;
inline constexpr int64_t kTileBytes = 64;
/** Depth of one tile of activations: bf16 and int8. */
inline constexpr int64_t kTileDepthBf16 = 32;
inline constexpr int64_t kTileDepthInt8 = 64;

/** `c[rows][32] (+)= a panel` in bf16. `a` holds tiles of 16 rows, each compact, the tiles of one 16 rows `depth` after
 * depth, `row_tile_stride` elements from one 16 rows to the next. Rows of `c` up to the next multiple of 16 are
 * written.
 */
struct TileProduct {
    const uint16_t* a;
    int64_t row_tile_stride;
    const uint16_t* panel;  ///< `[depth / 2][32][2]`.
    int64_t depth;          ///< Multiple of kTileDepthBf16.
    float* c;
    int64_t ldc;
    int64_t rows;
    bool accumulate;
    /** What is multiplied next, as long as the panel; NULL: nothing. Fetched into the second level. */
    const void* ahead;
};

/** `c[rows][32] += sum over groups of scale * (a codes + zero * offset)` in int8: the sums of a group of depths are
 * exact whole numbers, and one fused multiply-add per group, in rising order, adds them, as gemm_int8, gemm_int4 and
 * gemm_wide do (quant.hpp): the result is theirs to the bit. A group is `group` depths: 32, or a multiple of 64 of
 * which the last group may have less. `a` holds tiles as in TileProduct, a tile for every 64 depths or for every group
 * of 32 with zeros behind the 32. */
struct TileGroups {
    const int8_t* a;
    int64_t row_tile_stride;
    /** Of each 32 rows `[groups][2][32]`: scales and, where there are zero points, offsets. */
    const float* row_factors;
    int64_t row_factor_stride;  ///< From one 32 rows to the next.
    /** `[depth / 4][32][4]`. With groups of 32, kTileSpill bytes behind them are read, for nothing. */
    const int8_t* codes;
    const float* scales;  ///< `[groups][32]`
    const float* zeros;   ///< `[groups][32]`; NULL: there are no zero points.
    int64_t depth;
    int64_t group;
    float* c;
    int64_t ldc;
    int64_t rows;  ///< No other rows of `c` are touched.
    const void* ahead;
    int64_t ahead_bytes;
};

/** The whole numbers of one group and block, and what makes them a part of the output: for every row
 * `c = fma(fma(zero, offset, sum), scale * row scale, c)`, without zero points `c = fma(sum, scale * row scale, c)`. */
struct GroupSums {
    const int32_t* sums;   ///< `[count][32]`
    const float* scales;   ///< `[32]`
    const float* zeros;    ///< `[32]`
    const float* factors;  ///< `[2][32]`: scales and offsets of the rows.
    float* c;
    int64_t ldc;
    int64_t count;
};

/** See TileGroups::codes: half a tile. */
inline constexpr int64_t kTileSpill = 8 * 2 * kTileBytes;

/** The kernels of one policy. Between `begin` and `end` a thread may call the others; every thread has its own tiles.
 */
struct AmxKernels {
    const char* name;
    void (*begin)();
    void (*end)();
    void (*gemm_bf16)(const TileProduct& product);
    void (*gemm_groups)(const TileGroups& product);
    /** As in Kernels, but rows of queries, weights, logits and output up to the next multiple of 16 are touched. */
    void (*score_tile)(const ScoreTile& tile);
    void (*value_tile)(const ValueTile& tile);
};

/** Calls begin and end. */
class AmxScope {
  public:
    explicit AmxScope(const AmxKernels* kernels) : kernels_(kernels) {
        if (kernels_ != nullptr) kernels_->begin();
    }
    ~AmxScope() {
        if (kernels_ != nullptr) kernels_->end();
    }
    AmxScope(const AmxScope&) = delete;
    AmxScope& operator=(const AmxScope&) = delete;

  private:
    const AmxKernels* kernels_;
};

/** The kernels to use now, or NULL: those of a test, else the instructions where active_isa() is Isa::amx. Before these
 * are handed out for the first time, products of whole numbers are compared bit for bit with the emulation; when they
 * differ, a warning is logged and NULL returned for good. */
const AmxKernels* amx_kernels();

/** The instructions as C++; throws std::logic_error where the processor would fault. */
const AmxKernels& emulated_amx_kernels();
/** The instructions; NULL in a build for another architecture. Calling them needs Isa::amx. */
const AmxKernels* hardware_amx_kernels();

/** Whether `kernels` give the products of whole numbers exactly, on an odd shape of every kernel. */
bool amx_self_check(const AmxKernels& kernels);

/** Makes amx_kernels() return `kernels` while it lives. For tests; not meant for several threads at once. */
class ScopedAmxKernels {
  public:
    explicit ScopedAmxKernels(const AmxKernels* kernels);
    ~ScopedAmxKernels();
    ScopedAmxKernels(const ScopedAmxKernels&) = delete;
    ScopedAmxKernels& operator=(const ScopedAmxKernels&) = delete;
};

}  // namespace vlm::cpu
