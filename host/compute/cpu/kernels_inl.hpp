/** @file kernels_inl.hpp
 *  The kernels of one instruction set, in the order in which they need each other. Included behind `Vec`, inside
 * vlm::cpu.
 */
// clang-format off
#include "host/compute/cpu/math_inl.hpp"
#include "host/compute/cpu/rows_inl.hpp"
#include "host/compute/cpu/rotate_inl.hpp"
#include "host/compute/cpu/merged_inl.hpp"
#include "host/compute/cpu/gemm_inl.hpp"
// clang-format on
