/** @file topk_test.cpp
 *  Selection: order, ties, NaN, sizes.
 */
#include <algorithm>

#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

TEST(TopK, EqualsASortedList) {
    Device device;
    const auto t = device.table();
    std::mt19937 random(1);
    for (const int64_t n : {1, 2, 7, 100, 3000}) {
        Floats x({3, n});
        for (float& v : x.values) v = static_cast<float>(random() % 20);  // many ties
        for (const int32_t k : {0, 1, static_cast<int32_t>((n + 1) / 2), static_cast<int32_t>(n)}) {
            Floats values({3, k});
            Ints indices({3, k});
            EXPECT_OK(device, t->top_k(t, device.run(), x.abi(), k, values.abi(), indices.abi()));
            for (int64_t r = 0; r < 3; ++r) {
                std::vector<int32_t> order(static_cast<size_t>(n));
                for (int32_t i = 0; i < n; ++i) order[static_cast<size_t>(i)] = i;
                std::stable_sort(order.begin(), order.end(),
                                 [&](int32_t a, int32_t b) { return x[r * n + a] > x[r * n + b]; });
                for (int64_t i = 0; i < k; ++i) {
                    ASSERT_EQ(indices[r * k + i], order[static_cast<size_t>(i)]);
                    ASSERT_EQ(values[r * k + i], x[r * n + order[static_cast<size_t>(i)]]);
                }
            }
        }
    }
    Floats x({1, 3}), values({1, 4});
    Ints indices({1, 4});
    EXPECT_EQ(t->top_k(t, device.run(), x.abi(), 4, values.abi(), indices.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(t->top_k(t, device.run(), x.abi(), -1, values.abi(), indices.abi()), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Argmax, FirstOfEqualsAndNotANumberWins) {
    Device device;
    const auto t = device.table();
    Floats x({3, 4}, {1, 5, 5, 2, -3, -3, -3, -3, 1, NAN, 9, NAN}), values({3});
    Ints indices({3});
    EXPECT_OK(device, t->argmax(t, device.run(), x.abi(), values.abi(), indices.abi()));
    EXPECT_EQ(indices.values, (std::vector<int32_t>{1, 0, 1}));
    EXPECT_EQ(values[0], 5.0f);
    EXPECT_TRUE(std::isnan(values[2]));
    Floats empty({2, 0});
    EXPECT_EQ(t->argmax(t, device.run(), empty.abi(), nullptr, nullptr), VLM_STATUS_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace vlm::test
