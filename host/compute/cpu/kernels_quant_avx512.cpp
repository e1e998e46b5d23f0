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
#include "host/compute/cpu/dot_pairs.hpp"

namespace {

struct Dot : DotAvx512 {
    template <int Bits>
    using Sum = PairSum<DotAvx512, Bits, Bits == 8 ? 8 : 10>;
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
