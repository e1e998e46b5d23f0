/** @file kernels.cpp
 *  Picks the table of the instruction set. See kernels.hpp.
 */
#include "host/compute/cpu/kernels.hpp"

namespace vlm::cpu {

const Kernels& kernels_for(Isa isa) {
#if defined(__x86_64__)
    if (isa >= Isa::avx512_bf16) return detail::bf16_kernels();
    if (isa >= Isa::avx512) return detail::avx512_kernels();
    if (isa >= Isa::avx2) return detail::avx2_kernels();
#endif
    static_cast<void>(isa);
    return detail::scalar_kernels();
}

const Kernels& kernels() {
    return kernels_for(active_isa());
}

}  // namespace vlm::cpu
