/** @file quant.cpp
 *  Picks the kernels of quantised weights. See quant.hpp.
 */
#include "host/compute/cpu/quant.hpp"

namespace vlm::cpu {

const QuantKernels& quant_kernels() {
#if defined(__x86_64__)
    const Isa isa = active_isa();
    const CpuFeatures features = active_features();
    if (features.avx512_vnni) return detail::avx512_vnni_quant_kernels();
    if (isa >= Isa::avx512) return detail::avx512_quant_kernels();
    if (features.avx_vnni) return detail::avx_vnni_quant_kernels();
    if (isa >= Isa::avx2) return detail::avx2_quant_kernels();
#endif
    return detail::scalar_quant_kernels();
}

}  // namespace vlm::cpu
