/** @file gather_test.cpp
 *  Rows by index and their weighted mean by group.
 */
#include "host/compute/cpu/convert.hpp"
#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

TEST(Gather, RowsOfAnyFloatAndZerosForNegatives) {
    Device device;
    const auto t = device.table();
    Floats x = random_floats({5, 2, 3}, 1), y({4, 2, 3});
    for (float& v : x.values) v = cpu::bf16_to_float(cpu::float_to_bf16(v));
    Array<uint16_t> narrow({5, 2, 3});
    for (int64_t i = 0; i < x.size(); ++i) narrow[i] = cpu::float_to_bf16(x[i]);
    Ints rows({4}, {4, -1, 0, 4});
    for (vlm_tensor* source : {x.abi(), narrow.abi()}) {
        std::fill(y.values.begin(), y.values.end(), 9.0f);
        EXPECT_OK(device, t->gather(t, device.run(), source, rows.abi(), y.abi()));
        for (int64_t i = 0; i < 4; ++i)
            for (int64_t d = 0; d < 6; ++d) EXPECT_EQ(y[i * 6 + d], rows[i] < 0 ? 0.0f : x[rows[i] * 6 + d]);
    }
    rows[2] = 5;
    EXPECT_EQ(t->gather(t, device.run(), x.abi(), rows.abi(), y.abi()), VLM_STATUS_OUT_OF_RANGE);
    Floats wrong({4, 6});
    EXPECT_EQ(t->gather(t, device.run(), x.abi(), rows.abi(), wrong.abi()), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(ScatterMean, WeightedMeansInOrder) {
    for_each_isa([](Isa) {
        Device device;
        const auto t = device.table();
        const int64_t n = 60, m = 20, dim = 19;
        Floats x = random_floats({n, dim}, 2), weights({n}), y({m, dim});
        Ints groups({n});
        std::mt19937 random(3);
        for (int64_t i = 0; i < n; ++i) {
            groups[i] = static_cast<int32_t>(random() % 21) - 1;
            if (groups[i] == 7) groups[i] = 8;  // group 7 stays empty
            weights[i] = static_cast<float>(random() % 5 + 1);
        }
        for (const bool weighted : {false, true}) {
            EXPECT_OK(device, t->scatter_mean(t, device.run(), x.abi(), groups.abi(),
                                              weighted ? weights.abi() : nullptr, y.abi()));
            for (int64_t g = 0; g < m; ++g)
                for (int64_t d = 0; d < dim; ++d) {
                    double sum = 0, total = 0, magnitude = 0, members = 0;
                    for (int64_t i = 0; i < n; ++i) {
                        if (groups[i] != g) continue;
                        const double w = weighted ? weights[i] : 1.0f;
                        sum += w * x[i * dim + d];
                        total += w;
                        magnitude += w * std::abs(static_cast<double>(x[i * dim + d]));
                        ++members;
                    }
                    // Each member is rounded as a product and in the sum, the result once more.
                    if (total > 0)
                        ASSERT_NEAR(y[g * dim + d], sum / total, (members + 3) * kRoundoff * magnitude / total) << g;
                    else
                        ASSERT_EQ(y[g * dim + d], 0.0f) << g;
                }
        }
        groups[0] = 20;
        EXPECT_EQ(t->scatter_mean(t, device.run(), x.abi(), groups.abi(), nullptr, y.abi()), VLM_STATUS_OUT_OF_RANGE);
    });
}

}  // namespace
}  // namespace vlm::test
