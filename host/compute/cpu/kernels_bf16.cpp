/** @file kernels_bf16.cpp
 *  The AVX-512 kernels with products in bf16 (vdpbf16ps: two products and two additions per lane, in f32). The sum over
 * a pair is one step, so it is not the same rounding as the widened kernel; it is what other runtimes compute in bf16.
 * See the note on linkage in kernels_avx512.cpp.
 */
#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 takes the undefined operand of its own AVX-512 intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>
#include <vlm/linear.h>

#include "host/compute/cpu/kernels.hpp"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512bf16")
#endif

#include "host/compute/cpu/vec_avx512.hpp"

namespace vlm::cpu {

#include "host/compute/cpu/kernels_inl.hpp"
// clang-format off
#include "host/compute/cpu/attention_bf16_inl.hpp"
#include "host/compute/cpu/attention_softmax_inl.hpp"
// clang-format on

namespace {

/** How a tile fetches memory while it multiplies. */
enum class Fetch {
    nothing,
    half,    ///< Every second line of a panel that is read later, into the second-level cache.
    stream,  ///< What lies behind the panel: with few rows, memory decides, and panels are read one behind the other.
};
/** Distance of `stream`, in elements: 8 KB. */
constexpr int64_t kStreamAhead = 4096;

template <int MR, Fetch F>
void tile_bf16(const uint16_t* a, int64_t lda, const uint16_t* panel, int64_t depth, float* c, int64_t ldc,
               bool accumulate, const uint16_t* ahead) {
    __m512 sums[MR][2];
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v)
            sums[m][v] = accumulate ? _mm512_loadu_ps(c + m * ldc + 16 * v) : _mm512_setzero_ps();
    for (int64_t k = 0; k < depth; k += 2) {
        const uint16_t* line = panel + k * kPanel;
        const __m512bh b0 = (__m512bh)_mm512_loadu_si512(line);
        const __m512bh b1 = (__m512bh)_mm512_loadu_si512(line + 32);
        if constexpr (F == Fetch::half) _mm_prefetch(reinterpret_cast<const char*>(ahead + k * kPanel), _MM_HINT_T1);
        if constexpr (F == Fetch::stream) {
            _mm_prefetch(reinterpret_cast<const char*>(line + kStreamAhead), _MM_HINT_T0);
            _mm_prefetch(reinterpret_cast<const char*>(line + kStreamAhead + 32), _MM_HINT_T0);
        }
#pragma GCC unroll 16
        for (int m = 0; m < MR; ++m) {
            int pair;
            __builtin_memcpy(&pair, a + m * lda + k, sizeof(pair));
            const __m512bh x = (__m512bh)_mm512_set1_epi32(pair);
            sums[m][0] = _mm512_dpbf16_ps(sums[m][0], x, b0);
            sums[m][1] = _mm512_dpbf16_ps(sums[m][1], x, b1);
        }
    }
#pragma GCC unroll 16
    for (int m = 0; m < MR; ++m)
#pragma GCC unroll 2
        for (int v = 0; v < 2; ++v) _mm512_storeu_ps(c + m * ldc + 16 * v, sums[m][v]);
}

template <int MR, Fetch F>
void remaining_bf16(const uint16_t* a, int64_t lda, const uint16_t* panel, int64_t depth, float* c, int64_t ldc,
                    int64_t rows, bool accumulate) {
    if constexpr (MR > 0) {
        if (rows == MR) return tile_bf16<MR, F>(a, lda, panel, depth, c, ldc, accumulate, nullptr);
        remaining_bf16<MR - 1, F>(a, lda, panel, depth, c, ldc, rows, accumulate);
    }
}

void gemm_bf16(const uint16_t* a, int64_t lda, const uint16_t* panel, int64_t depth, float* c, int64_t ldc,
               int64_t rows, bool accumulate, const uint16_t* ahead) {
    constexpr int kRows = Vec::kTileRows;
    if (rows <= kRows) return remaining_bf16<kRows, Fetch::stream>(a, lda, panel, depth, c, ldc, rows, accumulate);
    if (rows < 2 * kRows) {
        tile_bf16<kRows, Fetch::stream>(a, lda, panel, depth, c, ldc, accumulate, nullptr);
        return remaining_bf16<kRows - 1, Fetch::nothing>(a + kRows * lda, lda, panel, depth, c + kRows * ldc, ldc,
                                                         rows - kRows, accumulate);
    }
    // The first two tiles fetch one half of the lines each: all at once would fill the queues to memory.
    for (int64_t first = 0; rows >= kRows; rows -= kRows, a += kRows * lda, c += kRows * ldc, first += 32) {
        if (ahead != nullptr && first <= 32) {
            tile_bf16<kRows, Fetch::half>(a, lda, panel, depth, c, ldc, accumulate, ahead + first);
        } else {
            tile_bf16<kRows, Fetch::nothing>(a, lda, panel, depth, c, ldc, accumulate, nullptr);
        }
    }
    remaining_bf16<kRows - 1, Fetch::nothing>(a, lda, panel, depth, c, ldc, rows, accumulate);
}

}  // namespace

const Kernels& detail::bf16_kernels() {
    static constexpr Kernels table = [] {
        Kernels t = make_kernels(Isa::avx512_bf16);
        t.gemm_bf16 = gemm_bf16;
        t.score_tile = score_tile;
        t.value_tile = value_tile;
        t.weight_tile = weight_tile;
        return t;
    }();
    return table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
