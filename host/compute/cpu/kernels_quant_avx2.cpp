/** @file kernels_quant_avx2.cpp
 *  The kernels of quantised weights for machines with AVX2. See the note on linkage in
 * kernels_avx2.cpp.
 */
#if defined(__x86_64__)
#include <immintrin.h>

#include "host/compute/cpu/quant.hpp"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2")
#endif

#include "host/compute/cpu/dot_avx2.hpp"

namespace {

/** Without VNNI: vpmaddubsw adds pairs of products in 16 bits, where 4-bit codes cannot overflow: 8 steps of two
 * products of at most 15 * 127 make 30480. Codes of 8 bits are taken as two halves of 4. */
struct Dot : DotAvx2 {
    template <int Bits>
    struct Sum {
        static constexpr vlm::cpu::QuantTile kTile =
            Bits == 8 ? vlm::cpu::QuantTile{3, 1, 2} : vlm::cpu::QuantTile{5, 1, 2};
        B pairs, high_pairs;
        static Sum begin(const std::byte*) { return {_mm256_setzero_si256(), _mm256_setzero_si256()}; }
        void add(B codes, B x) {
            add_to(pairs, Bits == 4 ? codes : low(codes), x);
            if constexpr (Bits == 8) add_to(high_pairs, high(codes), x);
        }
        /** The empty instruction holds the sum in its register: left to itself, g++ 12 moves sums through memory. */
        static void add_to(B& sum, B codes, B x) {
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(codes, x));
            asm("" : "+x"(sum));
        }
        F value([[maybe_unused]] const std::byte* offset) const {
            B total = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
            if constexpr (Bits == 8)
                total = _mm256_add_epi32(_mm256_add_epi32(total, broadcast(offset)),
                                         _mm256_madd_epi16(high_pairs, _mm256_set1_epi16(16)));
            return _mm256_cvtepi32_ps(total);
        }
    };
};

}  // namespace

namespace vlm::cpu {

#include "host/compute/cpu/quant_kernels_inl.hpp"

const QuantKernels& detail::avx2_quant_kernels() {
    static constexpr QuantKernels table = make_quant_kernels("avx2");
    return table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
