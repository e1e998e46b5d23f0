/** @file select.hpp
 *  The best of what the threads of a block have found.
 */
#pragma once
#include "host/compute/cuda/element.hpp"
#include "host/compute/cuda/kernels.hpp"

namespace vlm::cuda {

/** The order of argmax and top_k. */
VLM_HD bool better(const Candidate& a, const Candidate& b) {
    if (a.index < 0 || b.index < 0) return a.index >= 0;
    if (larger(a.value, b.value)) return true;
    return !larger(b.value, a.value) && a.index < b.index;
}

/** The best candidate of the block, for all threads; `places` holds one per thread. */
template <class Block>
VLM_HD Candidate best_of(Block& block, Candidate mine) {
    Candidate* places = block.template shared<Candidate>();
    block.sync();
    places[block.thread()] = mine;
    block.sync();
    for (int stride = 1; stride < block.threads(); stride *= 2) {
        const int other = block.thread() + stride;
        const bool joins = block.thread() % (2 * stride) == 0 && other < block.threads();
        if (joins && better(places[other], places[block.thread()])) places[block.thread()] = places[other];
        block.sync();
    }
    return places[0];
}

}  // namespace vlm::cuda
