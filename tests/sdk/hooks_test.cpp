/** @file hooks_test.cpp
 *  Tokens, sizes, origins and positions through two maps in a row.
 */
#include "vlm/sdk/hooks.hpp"

#include <gtest/gtest.h>

#include <cmath>

#include "host/compute/cpu/cpu_compute.hpp"

namespace {

using namespace vlm::sdk;

/** Answers with the maps that it was given, one after the other. */
struct Scripted {
    std::vector<std::vector<int32_t>> maps;
    size_t next = 0;
    vlm_token_view seen{};
    HostTensor<int32_t> groups{Shape{0}};
    Tensor view;
    vlm_token_map map = make_struct<vlm_token_map>();

    static vlm_status reduce(void* host, const vlm_run_context*, const vlm_token_view* view,
                             const vlm_token_map** map) {
        auto& self = *static_cast<Scripted*>(host);
        self.seen = *view;
        *map = nullptr;
        if (self.next == self.maps.size()) return VLM_STATUS_OK;
        const auto& groups = self.maps[self.next++];
        self.groups = HostTensor<int32_t>(groups, {static_cast<int64_t>(groups.size())});
        self.view = self.groups.view();
        self.map.groups = self.view.get();
        self.map.group_count = *std::max_element(groups.begin(), groups.end()) + 1;
        *map = &self.map;
        return VLM_STATUS_OK;
    }
};

struct Fixture {
    vlm::CpuCompute compute;
    Scripted script;
    vlm_hooks hooks = make_struct<vlm_hooks>();
    vlm_run_context context = make_struct<vlm_run_context>();
    explicit Fixture(std::vector<std::vector<int32_t>> maps) {
        script.maps = std::move(maps);
        hooks.host = &script;
        hooks.reduce = &Scripted::reduce;
        context.compute = compute.table();
        context.hooks = &hooks;
    }
};

Scratch matrix(const Ops& ops, const std::vector<float>& values) {
    HostTensor<float> host(values, {static_cast<int64_t>(values.size()), 1});
    return ops.copied(host.view());
}

std::vector<float> floats(const Tensor& t) {
    const auto s = t.span<float>();
    return {s.begin(), s.end()};
}
std::vector<int32_t> ints(const Tensor& t) {
    const auto s = t.span<int32_t>();
    return {s.begin(), s.end()};
}

TEST(TokenState, CarriesEverythingThroughTwoMaps) {
    Fixture f({{0, 1, 0, -1}, {0, 0}});
    const vlm::sdk::Run run(&f.context);
    const Ops ops(run);
    const Hooks hooks(run);
    TokenState state(4);
    Scratch x = matrix(ops, {2, 5, 4, 100});
    EXPECT_FALSE(state.reduced());
    EXPECT_EQ(state.log_sizes().get(), nullptr);

    ASSERT_TRUE(state.reduce(ops, hooks, {.hidden = x}, {&x}));
    EXPECT_EQ(f.script.seen.tokens, 4);
    EXPECT_EQ(f.script.seen.sizes, nullptr);
    EXPECT_EQ(floats(x), (std::vector<float>{3, 5}));
    EXPECT_EQ(floats(state.sizes()), (std::vector<float>{2, 1}));
    EXPECT_EQ(floats(state.log_sizes()), (std::vector<float>{std::log(2.F), 0}));
    EXPECT_EQ(ints(state.origins()), (std::vector<int32_t>{0, 1}));
    EXPECT_EQ(ints(state.row_of_position()), (std::vector<int32_t>{0, 1, 0, -1}));

    ASSERT_TRUE(state.reduce(ops, hooks, {.hidden = x}, {&x}));
    EXPECT_EQ(f.script.seen.tokens, 2);
    EXPECT_NE(f.script.seen.sizes, nullptr);
    EXPECT_NEAR(floats(x)[0], (2 * 3 + 5) / 3.F, 1e-6);  // weighted by the sizes
    EXPECT_EQ(floats(state.sizes()), std::vector<float>{3});
    EXPECT_EQ(ints(state.row_of_position()), (std::vector<int32_t>{0, 0, 0, -1}));

    EXPECT_FALSE(state.reduce(ops, hooks, {.hidden = x}, {&x}));
    EXPECT_EQ(state.tokens(), 1);
}

TEST(TokenState, RefusesGroupsThatDoNotExist) {
    Fixture f({{0, 5, 1}});
    const vlm::sdk::Run run(&f.context);
    const Ops ops(run);
    TokenState state(3);
    Scratch x = matrix(ops, {1, 2, 3});
    EXPECT_THROW(state.reduce(ops, Hooks(run), {.hidden = x}, {&x}), Error);
}

TEST(Hooks, WithoutReducersNothingIsAsked) {
    vlm_run_context context = make_struct<vlm_run_context>();
    const vlm::sdk::Run run(&context);
    const Hooks hooks(run);
    EXPECT_FALSE(static_cast<bool>(hooks));
    EXPECT_EQ(hooks.needs(VLM_SITE_ENCODER_LAYER, 0, 3), 0u);
}

}  // namespace
