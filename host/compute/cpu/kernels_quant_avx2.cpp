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
#include "host/compute/cpu/dot_pairs.hpp"

namespace {

struct Dot : DotAvx2 {
    template <int Bits>
    using Sum = PairSum<DotAvx2, Bits, Bits == 8 ? 3 : 5>;
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
