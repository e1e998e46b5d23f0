/** @file norm_test.cpp
 *  Norms and softmax against torch and against loops in double.
 */
#include "tests/host/compute/cpu/goldens.hpp"

namespace vlm::test {
namespace {

TEST(Norm, EqualsTorch) {
    for_each_isa([](Isa) {
        Device device;
        const auto& g = goldens().at("norms");
        Floats x = floats_of(g.at("x")), gamma = floats_of(g.at("gamma")), beta = floats_of(g.at("beta"));
        const auto t = device.table();
        const auto r = device.run();
        const auto check = [&](const char* name, auto call) {
            Floats y(x.shape);
            EXPECT_OK(device, call(y.abi()));
            EXPECT_LT(relative_error(y.values, floats_of(g.at(name)).values), 2e-6) << name;
        };
        check("layer_norm",
              [&](vlm_tensor* y) { return t->layer_norm(t, r, x.abi(), gamma.abi(), beta.abi(), 1e-5f, y); });
        check("rms_norm", [&](vlm_tensor* y) { return t->rms_norm(t, r, x.abi(), gamma.abi(), 1e-6f, 0, y); });
        check("rms_norm_offset", [&](vlm_tensor* y) { return t->rms_norm(t, r, x.abi(), gamma.abi(), 1e-6f, 1, y); });
        check("l2", [&](vlm_tensor* y) { return t->l2_normalize(t, r, x.abi(), 1e-12f, y); });
        check("softmax", [&](vlm_tensor* y) { return t->softmax(t, r, x.abi(), y); });
    });
}

TEST(Norm, EverySizeInPlaceAndStrided) {
    for_each_isa([](Isa) {
        Device device;
        const auto t = device.table();
        for (int64_t n = 1; n < 40; ++n) {
            Floats x = random_floats({3, n + 4}, static_cast<uint32_t>(n)), gamma = random_floats({n}, 2);
            const Floats before = x;
            ViewOf<float> view(x, 2, {3, n}, {n + 4, 1});
            EXPECT_OK(device, t->layer_norm(t, device.run(), view.abi(), gamma.abi(), nullptr, 1e-3f, view.abi()));
            for (int64_t r = 0; r < 3; ++r) {
                double mean = 0, square = 0;
                for (int64_t i = 0; i < n; ++i) mean += before[r * (n + 4) + 2 + i] / static_cast<double>(n);
                for (int64_t i = 0; i < n; ++i)
                    square += std::pow(before[r * (n + 4) + 2 + i] - mean, 2) / static_cast<double>(n);
                // The mean is off by at most n roundings of the largest element, which a small variance magnifies.
                double largest = 0;
                for (int64_t i = 0; i < n; ++i)
                    largest = std::max(largest, std::abs(static_cast<double>(before[r * (n + 4) + 2 + i])));
                const double scale = 1 / std::sqrt(square + 1e-3);
                for (int64_t i = 0; i < n; ++i) {
                    const double centred = before[r * (n + 4) + 2 + i] - mean;
                    const double bound = static_cast<double>(n + 4) * kRoundoff * (largest + std::abs(centred)) *
                                         scale * std::abs(static_cast<double>(gamma[i]));
                    ASSERT_NEAR(x[r * (n + 4) + 2 + i], centred * scale * gamma[i], bound) << n << " " << i;
                }
                // What is not part of the view stays.
                EXPECT_EQ(x[r * (n + 4)], before[r * (n + 4)]);
                EXPECT_EQ(x[r * (n + 4) + n + 2], before[r * (n + 4) + n + 2]);
            }
        }
    });
}

TEST(Norm, L2OfZeroIsZeroAndShapesAreChecked) {
    Device device;
    const auto t = device.table();
    Floats x({2, 5}), y({2, 5}), other({2, 6}), gamma({4});
    EXPECT_OK(device, t->l2_normalize(t, device.run(), x.abi(), 1e-12f, y.abi()));
    for (const float v : y.values) EXPECT_EQ(v, 0.0f);
    EXPECT_EQ(t->softmax(t, device.run(), x.abi(), other.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_EQ(t->rms_norm(t, device.run(), x.abi(), gamma.abi(), 1e-6f, 0, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
    EXPECT_NE(device.error.find("gamma"), std::string::npos) << device.error;
    ViewOf<float> column(x, 0, {5, 2}, {1, 5});
    EXPECT_EQ(t->softmax(t, device.run(), column.abi(), column.abi()), VLM_STATUS_INVALID_ARGUMENT);
}

}  // namespace
}  // namespace vlm::test
