/** @file weights_test.cpp
 *  Packing by name, prefixes, and messages that name the weight.
 */
#include "vlm/sdk/weights.hpp"

#include <gtest/gtest.h>

#include <map>

#include "host/compute/cpu/cpu_compute.hpp"

namespace {

using namespace vlm::sdk;

/** A checkpoint in memory. */
struct Checkpoint {
    std::map<std::string, HostTensor<float>> tensors;
    std::map<std::string, Tensor> views;
    vlm_weights abi = make_struct<vlm_weights>();
    Checkpoint() {
        abi.host = this;
        abi.find = [](void* host, const char* name, const vlm_tensor** tensor) -> vlm_status {
            auto& self = *static_cast<Checkpoint*>(host);
            const auto it = self.tensors.find(name);
            *tensor = nullptr;
            if (it == self.tensors.end()) return VLM_STATUS_NOT_FOUND;
            *tensor = (self.views[name] = it->second.view()).get();
            return VLM_STATUS_OK;
        };
        abi.read_file = [](void*, const char* path, vlm_string* text) -> vlm_status {
            if (std::string_view(path) != "notes.txt") return VLM_STATUS_NOT_FOUND;
            *text = {"hello", 5};
            return VLM_STATUS_OK;
        };
    }
    void add(const std::string& name, const Shape& shape, std::vector<float> values) {
        tensors.emplace(name, HostTensor<float>(std::move(values), shape));
    }
};

struct Fixture : testing::Test {
    vlm::CpuCompute compute;
    vlm_run_context context = make_struct<vlm_run_context>();
    Checkpoint file;
    void SetUp() override {
        context.compute = compute.table();
        file.add("layer.q.weight", {1, 2}, {1, 2});
        file.add("layer.k.weight", {2, 2}, {3, 4, 5, 6});
        file.add("layer.k.bias", {2}, {10, 20});
        file.add("norm.weight", {2}, {7, 8});
    }
};
using WeightsTest = Fixture;

TEST_F(WeightsTest, PacksPartsWithAndWithoutBias) {
    const vlm::sdk::Run run(&context);
    const Weights weights = Weights(run, &file.abi).under("layer.");
    const Linear fused = weights.linear({"q", "k"});
    EXPECT_EQ(fused.in(), 2);
    EXPECT_EQ(fused.out(), 3);
    const Ops ops(run);
    HostTensor<float> x(std::vector<float>{1, 1}, {1, 2});
    const Scratch y = ops.linear(fused, ops.copied(x.view()));
    const auto values = y.span<float>();
    EXPECT_EQ((std::vector<float>(values.begin(), values.end())), (std::vector<float>{3, 17, 31}));
}

TEST_F(WeightsTest, MessagesNameTheWeight) {
    const vlm::sdk::Run run(&context);
    const Weights weights(run, &file.abi);
    const auto message = [](auto&& body) -> std::string {
        try {
            body();
        } catch (const Error& error) {
            return error.what();
        }
        return "nothing was thrown";
    };
    EXPECT_NE(message([&] { weights.under("layer.").at("v.weight"); }).find("'layer.v.weight' is missing"),
              std::string::npos);
    EXPECT_NE(message([&] { weights.vector("norm.weight", 3); }).find("has shape [2], expected [3]"),
              std::string::npos);
    EXPECT_NE(message([&] { weights.linear("layer.k", 3, 2); }).find("the configuration says 3 x 2"),
              std::string::npos);
    EXPECT_FALSE(static_cast<bool>(weights.optional_vector("norm.bias", 2)));
    EXPECT_EQ(weights.first_of({"gamma", "norm.weight"}), "norm.weight");
    EXPECT_EQ(weights.read_file("notes.txt"), "hello");
    EXPECT_EQ(weights.read_file("none.txt"), std::nullopt);
}

TEST_F(WeightsTest, KeptTensorsMoveAndFree) {
    const vlm::sdk::Run run(&context);
    {
        Kept a = Weights(run, &file.abi).vector("norm.weight", 2);
        const Kept b = std::move(a);
        EXPECT_EQ(b.span<float>()[1], 8.F);
        EXPECT_GT(compute.statistics().kept_bytes, 0);
    }
    EXPECT_EQ(compute.statistics().kept_bytes, 0);
}

}  // namespace
