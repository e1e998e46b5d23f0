/** @file kernels_quant_avx_vnni.cpp
 *  The kernels of quantised weights for machines with AVX2 and the VNNI of its encoding (AVX-VNNI). See the note on
 * linkage in kernels_avx2.cpp.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "host/compute/cpu/quant.hpp"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2,avxvnni"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2,avxvnni")
#endif

#include "host/compute/cpu/dot_avx2.hpp"

namespace {

/** vpdpbusd, encoded for machines without AVX-512. */
struct Dot : DotAvx2 {
    static B dot(B total, B codes, B x) { return _mm256_dpbusd_avx_epi32(total, codes, x); }
    template <int Bits>
    struct Sum {
        static constexpr vlm::cpu::QuantTile kTile = {3, 2, 4};
        B total;
        static Sum begin(const std::byte* offset) { return {Bits == 8 ? broadcast(offset) : _mm256_setzero_si256()}; }
        void add(B codes, B x) { total = dot(total, codes, x); }
        F value(const std::byte*) const { return _mm256_cvtepi32_ps(total); }
    };
};

}  // namespace

namespace vlm::cpu {

// clang-format off
#include "host/compute/cpu/quant_kernels_inl.hpp"
#include "host/compute/cpu/quant_wide_inl.hpp"
// clang-format on

const QuantKernels& detail::avx_vnni_quant_kernels() {
    static constexpr QuantKernels table = with_wide_groups(make_quant_kernels("avx_vnni"));
    return table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
