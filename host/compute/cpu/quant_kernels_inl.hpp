/** @file quant_kernels_inl.hpp
 *  The kernels of quantised weights for one instruction set, in the order in which they need each other. Included
 * behind `Dot`, inside vlm::cpu.
 */
// clang-format off
#include "host/compute/cpu/quant_pack_inl.hpp"
#include "host/compute/cpu/quant_gemm_inl.hpp"
// clang-format on
