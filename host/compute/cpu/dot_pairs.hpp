/** @file dot_pairs.hpp
 *  The sum of a group without VNNI: vpmaddubsw adds pairs of products in 16 bits, where 4-bit codes cannot overflow: 8
 * steps of two products of at most 15 * 127 make 30480. Codes of 8 bits are taken as two halves of 4. For the files
 * kernels_quant_avx2.cpp and kernels_quant_avx512.cpp only, behind their target pragmas.
 */
#pragma once
#include <cstddef>

#include "host/compute/cpu/quant.hpp"

namespace {

/** @tparam Dot   DotAvx2 or DotAvx512.
 *  @tparam Rows  of a tile. */
template <class Dot, int Bits, int Rows>
struct PairSum {
    static constexpr vlm::cpu::QuantTile kTile = {Rows, 1, 2};
    using B = typename Dot::B;
    B pairs, high_pairs;

    static PairSum begin(const std::byte*) { return {Dot::none(), Dot::none()}; }
    void add(B codes, B x) {
        Dot::add_pairs(pairs, Bits == 4 ? codes : Dot::low(codes), x);
        if constexpr (Bits == 8) Dot::add_pairs(high_pairs, Dot::high(codes), x);
    }
    typename Dot::F value([[maybe_unused]] const std::byte* offset) const {
        B total = Dot::widened_pairs(pairs, 1);
        if constexpr (Bits == 8)
            total = Dot::plus(Dot::plus(total, Dot::broadcast(offset)), Dot::widened_pairs(high_pairs, 16));
        return Dot::real(total);
    }
};

}  // namespace
