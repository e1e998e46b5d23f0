/** @file elementwise_test.cpp
 *  Activations against torch; sums and products with every kind of broadcast.
 */
#include "tests/host/compute/cpu/goldens.hpp"

namespace vlm::test {
namespace {

TEST(Elementwise, ActivationsEqualTorch) {
    const std::pair<const char*, uint32_t> kinds[] = {
        {"relu", VLM_ACT_RELU},           {"gelu", VLM_ACT_GELU},
        {"gelu_tanh", VLM_ACT_GELU_TANH}, {"quick_gelu", VLM_ACT_QUICK_GELU},
        {"silu", VLM_ACT_SILU},           {"relu2", VLM_ACT_RELU2},
        {"tanh", VLM_ACT_TANH},           {"sigmoid", VLM_ACT_SIGMOID}};
    for_each_isa([&](Isa) {
        Device device;
        const auto t = device.table();
        for (const auto& [name, kind] : kinds) {
            Floats x = floats_of(goldens().at("activations").at("x"));
            const Floats expected = floats_of(goldens().at("activations").at(name));
            EXPECT_OK(device, t->activation(t, device.run(), x.abi(), kind, x.abi()));
            for (int64_t i = 0; i < x.size(); ++i)
                EXPECT_NEAR(x[i], expected[i], 1e-6 * std::max(1.0f, std::abs(expected[i]))) << name << " at " << i;
        }
        Floats x({1});
        EXPECT_EQ(t->activation(t, device.run(), x.abi(), 77, x.abi()), VLM_STATUS_INVALID_ARGUMENT);
    });
}

TEST(Elementwise, NotANumberStaysVisible) {
    for_each_isa([&](Isa) {
        Device device;
        const auto t = device.table();
        for (uint32_t kind = VLM_ACT_GELU; kind <= VLM_ACT_SIGMOID; ++kind) {
            Floats x({3}, {1.0f, NAN, 2.0f});
            EXPECT_OK(device, t->activation(t, device.run(), x.abi(), kind, x.abi()));
            EXPECT_TRUE(std::isnan(x[1])) << kind;
            EXPECT_FALSE(std::isnan(x[0]) || std::isnan(x[2])) << kind;
        }
    });
}

TEST(Elementwise, BroadcastsOverLeadingDimensions) {
    for_each_isa([](Isa) {
        Device device;
        const auto t = device.table();
        const int64_t n = 21;
        Floats a = random_floats({2, 3, n}, 1), y({2, 3, n});
        for (const auto& shape : {std::vector<int64_t>{2, 3, n}, {3, n}, {n}, {1, n}, {1, 1, n}}) {
            Floats b = random_floats(shape, 2);
            EXPECT_OK(device, t->add(t, device.run(), a.abi(), b.abi(), -0.5f, y.abi()));
            for (int64_t i = 0; i < a.size(); ++i) ASSERT_FLOAT_EQ(y[i], a[i] - 0.5f * b[i % b.size()]);
            EXPECT_OK(device, t->multiply(t, device.run(), a.abi(), b.abi(), y.abi()));
            for (int64_t i = 0; i < a.size(); ++i) ASSERT_FLOAT_EQ(y[i], a[i] * b[i % b.size()]);
        }
        Floats wrong({2, n}), scalar({1});
        EXPECT_EQ(t->add(t, device.run(), a.abi(), wrong.abi(), 1, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
        EXPECT_EQ(t->add(t, device.run(), a.abi(), scalar.abi(), 1, y.abi()), VLM_STATUS_INVALID_ARGUMENT);
        const Floats before = a;
        EXPECT_OK(device, t->add(t, device.run(), a.abi(), a.abi(), 1, a.abi()));  // in place
        for (int64_t i = 0; i < a.size(); ++i) ASSERT_EQ(a[i], 2 * before[i]);
    });
}

}  // namespace
}  // namespace vlm::test
