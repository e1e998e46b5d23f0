/** @file shapes_test.cpp
 *  permute, patches, mean and matmul: operations whose whole point is which element goes where.
 */
#include <algorithm>

#include "tests/host/compute/cpu/support.hpp"

namespace vlm::test {
namespace {

TEST(Permute, EveryOrderOfFourDimensions) {
    Device device;
    const auto t = device.table();
    const std::vector<int64_t> shape = {2, 3, 4, 5};
    Floats x = random_floats(shape, 1);
    std::vector<int32_t> axes = {0, 1, 2, 3};
    do {
        std::vector<int64_t> target;
        for (const int32_t a : axes) target.push_back(shape[static_cast<size_t>(a)]);
        Floats y(target);
        EXPECT_OK(device, t->permute(t, device.run(), x.abi(), axes.data(), y.abi()));
        for (int64_t i = 0; i < y.size(); ++i) {
            int64_t rest = i, index[4];
            for (size_t d = 4; d-- > 0;) {
                index[axes[d]] = rest % target[d];
                rest /= target[d];
            }
            ASSERT_EQ(y[i], x[((index[0] * 3 + index[1]) * 4 + index[2]) * 5 + index[3]]);
        }
    } while (std::next_permutation(axes.begin(), axes.end()));
    Floats y(shape);
    const int32_t twice[] = {0, 1, 1, 3};
    EXPECT_EQ(t->permute(t, device.run(), x.abi(), twice, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    const int32_t swapped[] = {1, 0, 2, 3};
    EXPECT_EQ(t->permute(t, device.run(), x.abi(), swapped, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Patches, BothOrdersAndARest) {
    Device device;
    const auto t = device.table();
    const int64_t images = 2, channels = 3, height = 11, width = 9, ph = 4, pw = 2;
    Floats pixels = random_floats({images, channels, height, width}, 2), y({images * 2 * 4, channels * ph * pw});
    for (const int32_t order : {VLM_PATCH_CHANNEL_FIRST, VLM_PATCH_CHANNEL_LAST}) {
        EXPECT_OK(device, t->patches(t, device.run(), pixels.abi(), ph, pw, order, y.abi()));
        for (int64_t i = 0; i < y.shape[0]; ++i)
            for (int64_t c = 0; c < channels; ++c)
                for (int64_t v = 0; v < ph; ++v)
                    for (int64_t u = 0; u < pw; ++u) {
                        const int64_t row = i / 4 % 2 * ph + v, column = i % 4 * pw + u;
                        const int64_t at =
                            order == VLM_PATCH_CHANNEL_FIRST ? (c * ph + v) * pw + u : (v * pw + u) * channels + c;
                        ASSERT_EQ(y[i * y.shape[1] + at],
                                  pixels[((i / 8 * channels + c) * height + row) * width + column]);
                    }
    }
    EXPECT_EQ(t->patches(t, device.run(), pixels.abi(), 0, 2, 0, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(t->patches(t, device.run(), pixels.abi(), 4, 2, 5, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    Floats wrong({15, channels * ph * pw});
    EXPECT_EQ(t->patches(t, device.run(), pixels.abi(), ph, pw, 0, wrong.abi()), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Mean, OverEachAxis) {
    Device device;
    const auto t = device.table();
    const std::vector<int64_t> shape = {4, 5, 30};
    Floats x = random_floats(shape, 3);
    for (int32_t axis = 0; axis < 3; ++axis) {
        std::vector<int64_t> kept = shape, dropped;
        kept[static_cast<size_t>(axis)] = 1;
        for (int32_t d = 0; d < 3; ++d)
            if (d != axis) dropped.push_back(shape[static_cast<size_t>(d)]);
        for (const auto& target : {kept, dropped}) {
            Floats y(target);
            EXPECT_OK(device, t->mean(t, device.run(), x.abi(), axis, y.abi()));
            std::vector<double> sums(y.values.size(), 0.0);
            for (int64_t i = 0; i < x.size(); ++i) {
                const int64_t a = i / 150, b = i / 30 % 5, c = i % 30;
                const int64_t at = axis == 0 ? b * 30 + c : axis == 1 ? a * 30 + c : a * 5 + b;
                sums[static_cast<size_t>(at)] += x[i] / static_cast<double>(shape[static_cast<size_t>(axis)]);
            }
            EXPECT_LT(relative_error(y.values, sums), 1e-6);
        }
    }
    Floats y({4, 5});
    EXPECT_EQ(t->mean(t, device.run(), x.abi(), 0, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(t->mean(t, device.run(), x.abi(), 3, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    Floats none({4, 0, 30}), result({4, 30});
    EXPECT_EQ(t->mean(t, device.run(), none.abi(), 1, result.abi()), VLM_STATUS_INVALID_ARGUMENT);
}

TEST(Matmul, BatchesAndBothSides) {
    for_each_isa([](Isa) {
        Device device;
        const auto t = device.table();
        const std::vector<std::vector<int64_t>> sizes = {
            {1, 1, 1, 1}, {3, 7, 33, 20}, {2, 130, 300, 65}, {1, 5, 1, 40}};
        for (const auto& s : sizes) {
            const int64_t batch = s[0], m = s[1], k = s[2], n = s[3];
            for (const int32_t transposed : {0, 1}) {
                Floats a = random_floats({batch, m, k}, 4), c({batch, m, n});
                Floats b = random_floats(
                    transposed != 0 ? std::vector<int64_t>{batch, n, k} : std::vector<int64_t>{batch, k, n}, 5);
                EXPECT_OK(device, t->matmul(t, device.run(), a.abi(), b.abi(), transposed, 0.5f, c.abi()));
                std::vector<double> expected;
                for (int64_t i = 0; i < batch * m; ++i)
                    for (int64_t j = 0; j < n; ++j) {
                        double sum = 0;
                        const int64_t base = i / m * k * n;
                        for (int64_t q = 0; q < k; ++q)
                            sum +=
                                static_cast<double>(a[i * k + q]) * b[base + (transposed != 0 ? j * k + q : q * n + j)];
                        expected.push_back(0.5 * sum);
                    }
                EXPECT_LT(relative_error(c.values, expected), 2e-6) << m << " " << k << " " << n;
            }
        }
        Floats a({2, 3}), b({4, 5}), c({2, 5});
        EXPECT_EQ(t->matmul(t, device.run(), a.abi(), b.abi(), 0, 1, c.abi()), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_NE(device.error.find("[4, 5]"), std::string::npos) << device.error;
    });
}

}  // namespace
}  // namespace vlm::test
