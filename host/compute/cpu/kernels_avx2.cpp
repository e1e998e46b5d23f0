/** @file kernels_avx2.cpp
 *  The kernels for machines with AVX2. Everything behind the pragma may use these instructions, so nothing with
 * external linkage may be instantiated there: the linker could pick that copy of a library template for the whole
 * program, which would then not start on an older machine.
 */
#if defined(__x86_64__)
#include <immintrin.h>
#include <vlm/linear.h>

#include "host/compute/cpu/kernels.hpp"

#if defined(__clang__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2"))), apply_to = function)
#else
#pragma GCC target("avx2,fma,f16c,bmi2")
#endif

#include "host/compute/cpu/vec_avx2.hpp"

namespace vlm::cpu {

#include "host/compute/cpu/kernels_inl.hpp"

const Kernels& detail::avx2_kernels() {
    static constexpr Kernels table = make_kernels(Isa::avx2);
    return table;
}

}  // namespace vlm::cpu

#if defined(__clang__)
#pragma clang attribute pop
#endif
#endif
