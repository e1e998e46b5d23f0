/** @file kernels_quant_scalar.cpp
 *  The kernels of quantised weights for any machine. See quant.hpp.
 */
#include "host/compute/cpu/dot_scalar.hpp"
#include "host/compute/cpu/quant.hpp"

namespace vlm::cpu {

// clang-format off
#include "host/compute/cpu/quant_kernels_inl.hpp"
#include "host/compute/cpu/quant_wide_inl.hpp"
// clang-format on

const QuantKernels& detail::scalar_quant_kernels() {
    static constexpr QuantKernels table = with_wide_groups(make_quant_kernels("scalar"));
    return table;
}

}  // namespace vlm::cpu
