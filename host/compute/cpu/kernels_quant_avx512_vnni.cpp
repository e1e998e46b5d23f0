/** @file kernels_quant_avx512_vnni.cpp
 *  The kernels of quantised weights for machines with AVX-512 with VNNI. See the note on linkage in
 * kernels_avx2.cpp.
 */
#if defined(__x86_64__)
#if defined(__GNUC__) && !defined(__clang__)
// g++ 12 takes the undefined operand of its own AVX-512 intrinsics for a mistake (GCC bug 105593).
#pragma GCC diagnostic ignored "-Wuninitialized"
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#endif
#include <immintrin.h>

#include "host/compute/cpu/quant.hpp"

#if defined(__clang__)
#pragma clang attribute push( \
    __attribute__((target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl,avx512vnni")
#endif

#include "host/compute/cpu/dot_avx512.hpp"

namespace {

/** vpdpbusd: four products and their sum per lane in one instruction. */
struct Dot : DotAvx512 {
    static B dot(B total, B codes, B x) { return _mm512_dpbusd_epi32(total, codes, x); }
    template <int Bits>
    struct Sum {
        static constexpr vlm::cpu::QuantTile kTile = {6, 2, 2};
        B total;
        static Sum begin(const std::byte* offset) { return {Bits == 8 ? broadcast(offset) : _mm512_setzero_si512()}; }
        void add(B codes, B x) { total = dot(total, codes, x); }
        F value(const std::byte*) const { return _mm512_cvtepi32_ps(total); }
    };
};

}  // namespace

namespace vlm::cpu {

// clang-format off
#include "host/compute/cpu/quant_kernels_inl.hpp"
#include "host/compute/cpu/quant_wide_inl.hpp"
// clang-format on

const QuantKernels& detail::avx512_vnni_quant_kernels() {
    static constexpr QuantKernels table = with_wide_groups(make_quant_kernels("avx512_vnni"));
    return table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
