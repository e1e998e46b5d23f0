/** @file self_check_test.cpp
 *  GPUs on which something is wrong, as VLM_EMULATED_BROKEN makes them: opening finds it, says so, and what is computed
 * afterwards is right all the same.
 */
#include <gmock/gmock.h>

#include "host/base/log.hpp"
#include "tests/host/compute/cuda/rig.hpp"

namespace vlm::test {
namespace {

using testing::HasSubstr;
using testing::Not;

/** A GPU with a fault, and the warnings that opening it gave. */
struct Broken {
    Broken(const char* fault, const char* dtype, const char* weights = "auto") {
        set_log_sink([&](int level, std::string_view, std::string_view text) {
            if (level >= VLM_LOG_WARNING) warnings += text;
        });
        setenv("VLM_EMULATED_BROKEN", fault, 1);
        side = std::make_unique<Side>(open_target({"broken", "serial", dtype}, weights));
        unsetenv("VLM_EMULATED_BROKEN");
        set_log_sink({});
    }
    std::string warnings;
    std::unique_ptr<Side> side;
};

/** 20 rows through a layer with a bias and a GELU. */
std::vector<float> layer_of(Side& s) {
    const Tensor weight = floats({24, 64}, 1, 0.2f), bias = floats({24}, 2), x = floats({20, 64}, 3);
    const vlm_tensor* weights[] = {weight.abi()};
    const vlm_tensor* biases[] = {bias.abi()};
    vlm_linear_spec spec{};
    spec.struct_size = sizeof(spec);
    spec.abi_version = VLM_ABI_VERSION;
    spec.part_count = 1;
    spec.weights = weights;
    spec.biases = biases;
    vlm_linear* layer = nullptr;
    EXPECT_EQ(s.table()->linear_pack(s.table(), &spec, &layer), VLM_STATUS_OK);
    vlm_epilogue gelu{};
    gelu.struct_size = sizeof(gelu);
    gelu.abi_version = VLM_ABI_VERSION;
    gelu.activation = VLM_ACT_GELU_TANH;
    const Tensor a = s.act(x), y = s.make({20, 24});
    s.call(&vlm_compute::linear, static_cast<const vlm_linear*>(layer), a.abi(),
           static_cast<const vlm_epilogue*>(&gelu), y.abi());
    const Tensor host = s.get(y);
    s.table()->linear_release(s.table(), layer);
    return {host.span<float>().begin(), host.span<float>().end()};
}

void expect_right(Side& gpu, float tolerance) {
    Side cpu(open_device("cpu", {"f32", "f32"}));
    const std::vector<float> expected = layer_of(cpu), found = layer_of(gpu);
    ASSERT_EQ(expected.size(), found.size());
    for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(found[i], expected[i], tolerance);
}

TEST(SelfCheck, AProductThatIsWrongIsNotUsed) {
    for (const auto& [dtype, tolerance] : {std::pair{"f32", 1e-4f}, {"bf16", 0.05f}}) {
        Broken gpu("products", dtype);
        EXPECT_THAT(gpu.warnings, HasSubstr("a product by cuBLASLt differs from the CPU"));
        EXPECT_THAT(gpu.warnings, Not(HasSubstr("few rows")));
        expect_right(*gpu.side, tolerance);
    }
}

/** What differs by more than the rounding of 20 rows to fp8 was not expanded. */
TEST(SelfCheck, ProductsInFp8ThatAreWrongOrMissingAreDoneInBf16) {
    const std::pair<const char*, const char*> cases[] = {{"fp8", "a product in fp8 by cuBLASLt differs from the CPU"},
                                                         {"no fp8", "cuBLASLt has no product in fp8 on this GPU"}};
    for (const auto& [fault, warning] : cases) {
        Broken gpu(fault, "bf16", "fp8");
        EXPECT_THAT(gpu.warnings, testing::AllOf(HasSubstr(warning), HasSubstr("expanded to bf16")));
        EXPECT_THAT(gpu.warnings, Not(HasSubstr("few rows")));
        expect_right(*gpu.side, 0.25f);
        EXPECT_EQ(Broken(fault, "bf16", "int8").warnings, "");
        EXPECT_EQ(Broken(fault, "f32", "fp8").warnings, "");
    }
    EXPECT_EQ(Broken("", "bf16", "fp8").warnings, "");
}

TEST(SelfCheck, AnEpilogueThatIsWrongIsDoneApart) {
    for (const auto& [dtype, tolerance] : {std::pair{"f32", 1e-4f}, {"bf16", 0.05f}}) {
        Broken gpu("epilogues", dtype);
        EXPECT_THAT(gpu.warnings, HasSubstr("what cuBLASLt does behind a product"));
        EXPECT_THAT(gpu.warnings, Not(HasSubstr("a product by cuBLASLt")));
        expect_right(*gpu.side, tolerance);
    }
}

TEST(SelfCheck, RowsGoToTheCpuWhereTheirLargestAreNotFound) {
    Broken gpu("kernel top_logits", "f32");
    EXPECT_THAT(gpu.warnings, HasSubstr("finds the largest logits"));
    EXPECT_THAT(gpu.warnings, Not(HasSubstr("few rows")));
    const Tensor row = gpu.side->put(floats({1, 50}, 1));
    const vlm_tensor* rows[] = {row.abi()};
    EXPECT_TRUE(gpu.side->decoding().top_logits(gpu.side->context(), rows, 1).empty());
}

}  // namespace
}  // namespace vlm::test
