/** @file attention_memory.cpp
 *  What attention keeps in memory: all logits at once, or one tile per thread; see estimate.hpp.
 */
#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/compute/cpu/attention_plan.hpp"
#include "host/estimate/estimate.hpp"
#include "host/services/run.hpp"

namespace vlm::estimate {
namespace {

constexpr int64_t kHeadDim = 64;

Tensor values(std::vector<int64_t> shape) {
    return {VLM_DTYPE_F32, std::move(shape)};
}

double standard(int64_t n, ThreadPool& pool) {
    CpuOptions options;
    options.pool = &pool;
    CpuCompute cpu(options);
    const Listeners quiet;
    Run run(cpu.compute(), &quiet);
    const auto& compute = *cpu.compute();
    const auto* context = run.context(VLM_ABI_VERSION);
    Tensor q = values({n, kHeadDim}), k = values({n, kHeadDim}), v = values({n, kHeadDim}), out = values({n, kHeadDim});
    const int64_t shape[] = {n, n};
    vlm_tensor* logits = nullptr;
    run.check(compute.create(&compute, context, VLM_DTYPE_F32, 2, shape, &logits), "create");
    run.check(compute.matmul(&compute, context, q.abi(), k.abi(), 1, 1.F, logits), "matmul");
    run.check(compute.softmax(&compute, context, logits, logits), "softmax");
    run.check(compute.matmul(&compute, context, logits, v.abi(), 0, 1.F, out.abi()), "matmul");
    cpu.end_run(context);
    return static_cast<double>(cpu.statistics().peak_scratch_bytes);
}

double blocked(int64_t n, ThreadPool& pool) {
    CpuOptions options;
    options.pool = &pool;
    CpuCompute cpu(options);
    const Listeners quiet;
    Run run(cpu.compute(), &quiet);
    const auto& compute = *cpu.compute();
    const auto* context = run.context(VLM_ABI_VERSION);
    const std::vector<int64_t> shape = {n, 1, kHeadDim};
    Tensor q = values(shape), k = values(shape), v = values(shape), out = values(shape);
    auto args = abi_struct<vlm_attention>();
    args.q = q.abi();
    args.k = k.abi();
    args.v = v.abi();
    args.out = out.abi();
    args.scale = 0.125F;
    args.mask_rule = VLM_MASK_CAUSAL;
    run.check(compute.attention(&compute, context, &args), "attention");
    cpu.end_run(context);
    return static_cast<double>(cpu.statistics().peak_scratch_bytes);
}

}  // namespace

AttentionMemory attention_memory(int64_t tokens, int threads) {
    constexpr int64_t kMost = 1 << 16;
    if (tokens < 1 || tokens > kMost)
        throw invalid_argument("attention over " + std::to_string(tokens) + " tokens is not measured; give 1 to 65536");
    ThreadPool pool;
    pool.set_threads(threads);
    AttentionMemory memory;
    memory.tokens = tokens;
    const auto n = static_cast<double>(tokens);
    memory.standard_computed = n * n * 4;
    memory.standard_measured = standard(tokens, pool);
    // Logits of a tile in f32 and bf16, the queries of the block, the pages of keys and values, and the sums.
    const auto block = static_cast<double>(cpu::kQueryBlock), tile = static_cast<double>(cpu::kTileKeys);
    const double tiles = block * tile * 6 + block * kHeadDim * 4 + tile * 2 * kHeadDim * 4 + block * (kHeadDim + 2) * 4;
    // Keys and values that are in no cache yet are laid out in pages first.
    memory.blocked_computed = pool.threads() * tiles + n * 2 * kHeadDim * 4;
    memory.blocked_measured = blocked(tokens, pool);
    return memory;
}

}  // namespace vlm::estimate
