/** @file threads_test.cpp
 *  Several threads decode on one device at once, each with a cache of its own: attention that waits for its like must
 * be launched before anybody reads what it writes, whoever launches it.
 */
#include <thread>

#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

constexpr int64_t kDim = 64;

/** Steps of decoding over one cache; every output is added to the one before at once. */
std::vector<float> decode(Side& s, uint32_t seed, int steps) {
    vlm_kv_spec spec{sizeof(spec), VLM_ABI_VERSION, 1, 1, kDim, 0, 1024};
    vlm_kv_cache* cache = nullptr;
    EXPECT_EQ(s.table()->kv_create(s.table(), &spec, &cache), VLM_STATUS_OK);
    const Tensor sum = s.act(floats({1, 1, kDim}, seed)), out = s.make({1, 1, kDim});
    for (int step = 0; step < steps; ++step) {
        const Tensor k = s.act(floats({1, 1, kDim}, seed + 100 + static_cast<uint32_t>(step)));
        vlm_attention a{};
        a.struct_size = sizeof(a);
        a.abi_version = VLM_ABI_VERSION;
        a.q = sum.abi();
        a.k = a.v = k.abi();
        a.out = writable(out.abi());
        a.scale = 0.1f;
        a.mask_rule = VLM_MASK_CAUSAL;
        a.cache = cache;
        s.call(&vlm_compute::attention, static_cast<const vlm_attention*>(&a));
        s.call(&vlm_compute::add, sum.abi(), out.abi(), 0.5f, sum.abi());
    }
    const Tensor host = s.get(sum);
    s.table()->kv_destroy(s.table(), cache);
    return {host.span<float>().begin(), host.span<float>().end()};
}

TEST(Threads, EachReadsWhatItsOwnAttentionHasWritten) {
    constexpr int kThreads = 4, kSteps = 12;
    const auto device = open_target({"threads", "serial", "bf16"});
    std::vector<std::vector<float>> alone(kThreads), together(kThreads);
    for (uint32_t t = 0; t < kThreads; ++t) {
        Side side(device);
        alone[t] = decode(side, t, kSteps);
    }
    std::vector<std::thread> threads;
    for (uint32_t t = 0; t < kThreads; ++t)
        threads.emplace_back([&, t] {
            Side side(device);
            together[t] = decode(side, t, kSteps);
        });
    for (std::thread& thread : threads) thread.join();
    for (size_t t = 0; t < kThreads; ++t) EXPECT_EQ(together[t], alone[t]) << "thread " << t;
}

}  // namespace
}  // namespace vlm::test
