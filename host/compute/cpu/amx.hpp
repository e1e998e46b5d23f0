/** @file amx.hpp
 *  Products with AMX tiles, for many rows. What a processor with AMX runs and what the tests run everywhere is one
 * template (amx_kernels_inl.hpp) over a policy: the instructions themselves, or a model of them in plain C++.
 *
 *  Blocking: an output block of 32 x 32 is four tiles; two tiles of activations and two of weights feed it, so every
 * byte that is loaded is used twice, and four multiplications of 16 cycles hide four loads of 8. The depth runs in
 * blocks whose part of a panel stays in the first-level cache while all rows pass by (linear_amx.cpp). Weights are the
 * panels that all kernels share: 16 pairs of depth by 16 outputs of them are a tile as it stands. Activations are
 * packed tile by tile while they are rounded, because 16 rows that lie a power of two apart would fall into one set of
 * the cache.
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

/** `c[rows][32] (+)= a panel`. `a` holds tiles of 16 rows, each compact, the tiles of one 16 rows `depth` after depth,
 * `row_tile_stride` elements from one 16 rows to the next. Rows of `c` up to the next multiple of 16 are written. */
template <class A, class Sum>
struct TileProduct {
    const A* a;
    int64_t row_tile_stride;
    const A* panel;  ///< bf16: `[depth / 2][32][2]`; int8: `[depth / 4][32][4]`.
    int64_t depth;   ///< Multiple of kTileDepthBf16 or kTileDepthInt8.
    Sum* c;
    int64_t ldc;
    int64_t rows;
    bool accumulate;
    const void*
        ahead;  ///< What is multiplied next, as long as the panel; NULL: nothing. Fetched into the second level.
};
using TileProductBf16 = TileProduct<uint16_t, float>;
using TileProductInt8 = TileProduct<int8_t, int32_t>;

/** The kernels of one policy. Between `begin` and `end` a thread may call the others; every thread has its own tiles.
 */
struct AmxKernels {
    const char* name;
    void (*begin)();
    void (*end)();
    void (*gemm_bf16)(const TileProductBf16& product);
    void (*gemm_int8)(const TileProductInt8& product);
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
