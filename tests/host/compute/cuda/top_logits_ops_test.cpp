/** @file top_logits_ops_test.cpp
 *  The largest logits of rows, found on the device, beside those that a sort on the CPU finds.
 */
#include <algorithm>
#include <limits>

#include "host/pipeline/sampling.hpp"
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using TopLogitsOps = CudaOps;
INSTANTIATE_TEST_SUITE_P(Cuda, TopLogitsOps, testing::ValuesIn(targets()), target_name);

constexpr float kInfinite = std::numeric_limits<float>::infinity();

std::vector<TopLogits> find(Side& s, const std::vector<Tensor>& tensors, int64_t count) {
    std::vector<const vlm_tensor*> rows;
    for (const Tensor& tensor : tensors) rows.push_back(tensor.abi());
    return s.decoding().top_logits(s.context(), rows, count);
}

/** The last row of `host` against what was found of it. */
void expect_largest(const Tensor& host, const TopLogits& found, int64_t count) {
    const int64_t columns = host.dim(1);
    const std::span<const float> row(host.data<float>() + (host.dim(0) - 1) * columns, static_cast<size_t>(columns));
    std::vector<int32_t> order(row.size());
    for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
    std::stable_sort(order.begin(), order.end(),
                     [&](int32_t a, int32_t b) { return row[static_cast<size_t>(a)] > row[static_cast<size_t>(b)]; });
    ASSERT_TRUE(found.numbers);
    ASSERT_EQ(found.ids, std::vector<int32_t>(order.begin(), order.begin() + count));
    for (size_t i = 0; i < found.ids.size(); ++i) EXPECT_EQ(found.logits[i], row[static_cast<size_t>(found.ids[i])]);
    const float expected = log_probability_of(row, order[0]);
    if (std::isnan(expected)) {
        EXPECT_TRUE(std::isnan(found.log_sum));
    } else {
        EXPECT_FLOAT_EQ(static_cast<float>(-found.log_sum), expected);
    }
}

TEST_P(TopLogitsOps, AreThoseOfTheCpuForEveryLength) {
    for (const int64_t columns : {1, 2, 100, 2048, 2049, 9001}) {
        for (const int64_t wanted : {1, 3, 64}) {
            SCOPED_TRACE(std::to_string(wanted) + " of " + std::to_string(columns));
            const int64_t count = std::min(wanted, columns);
            const Tensor one = floats({1, columns}, 1, 4.0f), several = floats({3, columns}, 2, 0.01f);
            const auto found = find(*gpu_, {gpu_->put(one), gpu_->put(several)}, count);
            ASSERT_EQ(found.size(), 2u);
            expect_largest(one, found[0], count);
            expect_largest(several, found[1], count);
        }
    }
}

TEST_P(TopLogitsOps, OfEqualOnesTheFirstIsBest) {
    Tensor row(VLM_DTYPE_F32, {1, 5000});
    for (size_t i = 0; i < 5000; ++i) row.span<float>()[i] = static_cast<float>(i % 7);
    expect_largest(row, find(*gpu_, {gpu_->put(row)}, 20).at(0), 20);
    std::fill(row.span<float>().begin(), row.span<float>().end(), -3.0f);
    expect_largest(row, find(*gpu_, {gpu_->put(row)}, 3).at(0), 3);
}

TEST_P(TopLogitsOps, InfinitiesAndNaNMeanWhatTheyMeanOnTheCpu) {
    Tensor row = floats({1, 5000}, 3);
    for (size_t i = 0; i < 3000; ++i) row.span<float>()[i] = -kInfinite;  // a whole span of them
    expect_largest(row, find(*gpu_, {gpu_->put(row)}, 5).at(0), 5);
    row.span<float>()[4100] = kInfinite;
    expect_largest(row, find(*gpu_, {gpu_->put(row)}, 1).at(0), 1);
    std::fill(row.span<float>().begin(), row.span<float>().end(), -kInfinite);
    expect_largest(row, find(*gpu_, {gpu_->put(row)}, 1).at(0), 1);
    const Tensor sound = floats({1, 5000}, 4);
    row.span<float>()[4999] = std::numeric_limits<float>::quiet_NaN();
    const auto found = find(*gpu_, {gpu_->put(row), gpu_->put(sound)}, 2);
    EXPECT_FALSE(found.at(0).numbers);
    expect_largest(sound, found.at(1), 2);
}

TEST_P(TopLogitsOps, AllRowsCostOneWaitAndFewBytes) {
    std::vector<Tensor> tensors;
    for (uint32_t i = 0; i < 9; ++i) tensors.push_back(gpu_->put(floats({1, 3000}, i)));
    const int64_t waits = gpu_->device().counters().synchronizations;
    const int64_t bytes = gpu_->decoding().decoding_counters().downloaded_bytes;
    EXPECT_EQ(find(*gpu_, tensors, 1).size(), 9u);
    EXPECT_EQ(gpu_->device().counters().synchronizations - waits, 1);
    EXPECT_EQ(gpu_->decoding().decoding_counters().downloaded_bytes - bytes, 9 * 16);
}

TEST_P(TopLogitsOps, OtherTensorsAreRefused) {
    const Tensor row = gpu_->put(floats({2, 10}, 1)), longer = gpu_->put(floats({2, 11}, 1));
    const Tensor ids = gpu_->put(ints({1, 2, 3}));
    EXPECT_THROW(find(*gpu_, {row, longer}, 1), Error);
    EXPECT_THROW(find(*gpu_, {ids}, 1), Error);
    EXPECT_THROW(find(*gpu_, {row}, 11), Error);
    EXPECT_THROW(find(*gpu_, {row}, 0), Error);
    EXPECT_THROW(find(*gpu_, {floats({1, 10}, 1)}, 1), Error);
    EXPECT_TRUE(find(*gpu_, {}, 1).empty());
}

}  // namespace
}  // namespace vlm::test
