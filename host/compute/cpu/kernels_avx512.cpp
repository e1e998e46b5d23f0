/** @file kernels_avx512.cpp
 *  The kernels for machines with AVX512. Everything behind the pragma may use these instructions, so nothing with
 * external linkage may be instantiated there: the linker could pick that copy of a library template for the whole
 * program, which would then not start on an older machine.
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
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl"))), \
                             apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2,avx512f,avx512bw,avx512dq,avx512vl")
#endif

#include "host/compute/cpu/vec_avx512.hpp"

namespace vlm::cpu {

#include "host/compute/cpu/kernels_inl.hpp"

const Kernels& detail::avx512_kernels() {
    static constexpr Kernels table = make_kernels(Isa::avx512);
    return table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
