/** @file select.hpp
 *  What the threads of a block have found becomes one: their best candidate, or their sum.
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

/** Joins one value of each thread, pairwise and in a fixed order; all threads get the result. The block's shared memory
 * holds one value per thread. */
template <class Value, class Block, class Join>
VLM_HD Value join_threads(Block& block, Value mine, const Join& join) {
    Value* places = block.template shared<Value>();
    block.sync();
    places[block.thread()] = mine;
    block.sync();
    for (int stride = 1; stride < block.threads(); stride *= 2) {
        const int other = block.thread() + stride;
        if (block.thread() % (2 * stride) == 0 && other < block.threads())
            places[block.thread()] = join(places[block.thread()], places[other]);
        block.sync();
    }
    return places[0];
}

struct BetterOf {
    VLM_HD Candidate operator()(const Candidate& a, const Candidate& b) const { return better(b, a) ? b : a; }
};
struct SumOf {
    VLM_HD double operator()(double a, double b) const { return a + b; }
};

/** The best candidate of the block. */
template <class Block>
VLM_HD Candidate best_of(Block& block, Candidate mine) {
    return join_threads(block, mine, BetterOf{});
}
/** The sum over the block. */
template <class Block>
VLM_HD double sum_of(Block& block, double mine) {
    return join_threads(block, mine, SumOf{});
}

}  // namespace vlm::cuda
