/** @file tokens_ops_test.cpp
 *  Token maps and what goes through them: the CUDA device beside the CPU device, bit for bit where there are integers.
 */
#include <limits>

#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using TokenOps = CudaOps;
INSTANTIATE_TEST_SUITE_P(Cuda, TokenOps, testing::ValuesIn(targets()), target_name);

constexpr float kAlways = -std::numeric_limits<float>::infinity();

/** Scores with many ties. */
Tensor tied_scores(int64_t n) {
    Tensor scores(VLM_DTYPE_F32, {n});
    for (int64_t i = 0; i < n; ++i) scores.data<float>()[i] = static_cast<float>(i * 29 % 7) / 7.0f;
    return scores;
}

TEST_P(TokenOps, ScatterMean) {
    std::vector<int32_t> groups;
    for (int32_t i = 0; i < 90; ++i) groups.push_back(i % 9 == 0 ? -1 : i * 5 % 33);
    const Tensor x = floats({90, 4, 10}, 1), map = ints(groups);
    Tensor weights = floats({90}, 2);
    for (float& w : weights.span<float>()) w = 1.0f + std::abs(w);
    compare([&](Side& s) {
        const Tensor a = s.act(x), m = s.put(map), w = s.put(weights);
        // Groups 33 and 34 stay empty.
        std::vector<Tensor> y{s.make({35, 4, 10}), s.make({35, 4, 10})};
        s.call(&vlm_compute::scatter_mean, a.abi(), m.abi(), nullptr, y[0].abi());
        s.call(&vlm_compute::scatter_mean, a.abi(), m.abi(), w.abi(), y[1].abi());
        return y;
    });
}

TEST_P(TokenOps, ScatterMeanOfScores) {
    const Tensor x = floats({6, 1}, 3), map = ints({1, 0, 1, -1, 0, 1});
    compare([&](Side& s) {
        const Tensor a = s.put(x), m = s.put(map), y = s.make(VLM_DTYPE_F32, {2, 1});
        s.call(&vlm_compute::scatter_mean, a.abi(), m.abi(), nullptr, y.abi());
        return std::vector<Tensor>{y};
    });
}

TEST_P(TokenOps, AGroupOutsideIsReported) {
    const Tensor a = gpu_->act(floats({3, 4}, 4)), m = gpu_->put(ints({0, 2, 1})), y = gpu_->make({2, 4});
    gpu_->call(&vlm_compute::scatter_mean, a.abi(), m.abi(), nullptr, y.abi());
    EXPECT_THROW(gpu_->get(y), Error);
}

TEST_P(TokenOps, MergeMaps) {
    for (const int64_t n : {1, 2, 5, 64, 577, 1400})
        for (const int64_t protected_tokens : {0, 1, 3})
            for (const float threshold : {kAlways, 0.3f, 2.0f}) {
                SCOPED_TRACE(std::to_string(n) + " tokens, threshold " + std::to_string(threshold));
                const int64_t evens = (n + 1) / 2, limit = (n - 1) / 3;
                std::vector<int32_t> partners;
                for (int64_t i = 0; i < evens; ++i)
                    partners.push_back(n > 1 ? static_cast<int32_t>(i * 31 % (n / 2)) : 0);
                int64_t counts[2] = {-1, -2};
                int side = 0;
                compare([&](Side& s) {
                    const Tensor scores = s.put(tied_scores(evens)), p = s.put(ints(partners));
                    const Tensor groups = s.make(VLM_DTYPE_I32, {n});
                    s.call(&vlm_compute::merge_map, scores.abi(), p.abi(), threshold, limit, protected_tokens,
                           groups.abi(), &counts[side++]);
                    return std::vector<Tensor>{groups};
                });
                EXPECT_EQ(counts[0], counts[1]);
            }
}

TEST_P(TokenOps, AFixedNumberOfMergesIsNotReadBack) {
    const Tensor scores = gpu_->put(tied_scores(50)), partners = gpu_->put(ints(std::vector<int32_t>(50, 3)));
    const Tensor groups = gpu_->make(VLM_DTYPE_I32, {100});
    int64_t count = 0;
    const int64_t before = gpu_->device().counters().synchronizations;
    gpu_->call(&vlm_compute::merge_map, scores.abi(), partners.abi(), kAlways, int64_t{20}, int64_t{1}, groups.abi(),
               &count);
    EXPECT_EQ(gpu_->device().counters().synchronizations, before);
    EXPECT_EQ(count, 80);
    gpu_->call(&vlm_compute::merge_map, scores.abi(), partners.abi(), 0.5f, int64_t{20}, int64_t{1}, groups.abi(),
               &count);
    EXPECT_EQ(gpu_->device().counters().synchronizations, before + 1);
}

TEST_P(TokenOps, KeepMaps) {
    for (const int64_t n : {1, 40, 700})
        for (const int64_t keep : {0, 1, 17, 1000}) {
            std::vector<uint8_t> droppable;
            for (int64_t i = 0; i < n; ++i) droppable.push_back(i % 4 != 1 ? 1 : 0);
            compare([&](Side& s) {
                const Tensor scores = s.put(tied_scores(n)), d = s.put(bytes(droppable));
                const Tensor groups = s.make(VLM_DTYPE_I32, {n});
                s.call(&vlm_compute::keep_map, scores.abi(), d.abi(), keep, groups.abi());
                return std::vector<Tensor>{groups};
            });
        }
}

TEST_P(TokenOps, CarriedSizesAndOrigins) {
    const Tensor first = ints({0, 3, 0, 4, 1, 5, 2, 4, -1}), second = ints({0, 0, 1, -1, 1, 2});
    compare([&](Side& s) {
        const Tensor rows = s.make(VLM_DTYPE_I32, {9});
        s.call(&vlm_compute::fill, rows.abi(), 0.0);
        const auto carry = [&](const Tensor& map, const Tensor* sizes, const Tensor* origins, int64_t groups) {
            std::vector<Tensor> y{s.make(VLM_DTYPE_F32, {groups}), s.make(VLM_DTYPE_F32, {groups}),
                                  s.make(VLM_DTYPE_I32, {groups})};
            const Tensor m = s.put(map);
            s.call(&vlm_compute::carry_map, m.abi(), sizes != nullptr ? sizes->abi() : nullptr,
                   origins != nullptr ? origins->abi() : nullptr, rows.abi(), y[0].abi(), y[1].abi(), y[2].abi());
            return y;
        };
        std::vector<Tensor> all = carry(first, nullptr, nullptr, 6);
        const std::vector<Tensor> then = carry(second, &all[0], &all[2], 3);
        all.insert(all.end(), then.begin(), then.end());
        all.push_back(rows);
        return all;
    });
}

}  // namespace
}  // namespace vlm::test
