/** @file kernels_scalar.cpp
 *  The kernels for any machine. See kernels.hpp.
 */
#include <vlm/linear.h>

#include "host/compute/cpu/kernels.hpp"
#include "host/compute/cpu/vec_scalar.hpp"

namespace vlm::cpu {

#include "host/compute/cpu/kernels_inl.hpp"

const Kernels& detail::scalar_kernels() {
    static constexpr Kernels table = make_kernels(Isa::scalar);
    return table;
}

}  // namespace vlm::cpu
