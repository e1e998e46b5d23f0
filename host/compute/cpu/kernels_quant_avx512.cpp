/** @file kernels_quant_avx512.cpp
 *  The kernels of quantised weights for machines with AVX-512 without VNNI. See the note on linkage in
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
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "host/compute/cpu/dot_avx512.hpp"

namespace {

/** Without VNNI: vpmaddubsw adds pairs of products in 16 bits, where 4-bit codes cannot overflow: 8 steps of two
 * products of at most 15 * 127 make 30480. Codes of 8 bits are taken as two halves of 4. */
struct Dot : DotAvx512 {
    template <int Bits>
    struct Sum {
        static constexpr vlm::cpu::QuantTile kTile =
            Bits == 8 ? vlm::cpu::QuantTile{8, 1, 2} : vlm::cpu::QuantTile{10, 1, 2};
        B pairs, high_pairs;
        static Sum begin(const std::byte*) { return {_mm512_setzero_si512(), _mm512_setzero_si512()}; }
        void add(B codes, B x) {
            add_to(pairs, Bits == 4 ? codes : low(codes), x);
            if constexpr (Bits == 8) add_to(high_pairs, high(codes), x);
        }
        /** The empty instruction holds the sum in its register: left to itself, g++ 12 moves sums through memory. */
        static void add_to(B& sum, B codes, B x) {
            sum = _mm512_add_epi16(sum, _mm512_maddubs_epi16(codes, x));
            asm("" : "+v"(sum));
        }
        F value([[maybe_unused]] const std::byte* offset) const {
            B total = _mm512_madd_epi16(pairs, _mm512_set1_epi16(1));
            if constexpr (Bits == 8)
                total = _mm512_add_epi32(_mm512_add_epi32(total, broadcast(offset)),
                                         _mm512_madd_epi16(high_pairs, _mm512_set1_epi16(16)));
            return _mm512_cvtepi32_ps(total);
        }
    };
};

}  // namespace

namespace vlm::cpu {

#include "host/compute/cpu/quant_kernels_inl.hpp"

const QuantKernels& detail::avx512_quant_kernels() {
    static constexpr QuantKernels table = make_quant_kernels("avx512");
    return table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
