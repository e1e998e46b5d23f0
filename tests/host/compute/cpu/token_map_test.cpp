/** @file token_map_test.cpp
 *  Token maps against the rule written in Python, and their edges.
 */
#include <limits>

#include "tests/host/compute/cpu/goldens.hpp"

namespace vlm::test {
namespace {

constexpr float kAll = -std::numeric_limits<float>::infinity();

TEST(MergeMap, EqualsTheReference) {
    Device device;
    const auto t = device.table();
    for (const auto& c : goldens().at("merge")) {
        const int64_t n = c.at("n");
        Floats scores = floats_of(c.at("scores"));
        Ints partners({scores.size()}, c.at("partners").get<std::vector<int32_t>>()), groups({n});
        int64_t count = -1;
        EXPECT_OK(device, t->merge_map(t, device.run(), scores.abi(), partners.abi(), c.at("threshold").get<float>(),
                                       c.at("limit"), c.at("protect"), groups.abi(), &count));
        EXPECT_EQ(groups.values, c.at("groups").get<std::vector<int32_t>>());
        EXPECT_EQ(count, c.at("count").get<int64_t>());
    }
}

TEST(MergeMap, TiesThresholdAndTinySizes) {
    Device device;
    const auto t = device.table();
    const auto merge = [&](int64_t n, std::vector<float> s, std::vector<int32_t> p, float threshold, int64_t limit) {
        Floats scores({(n + 1) / 2}, std::move(s));
        Ints partners({(n + 1) / 2}, std::move(p)), groups({n});
        int64_t count = 0;
        EXPECT_OK(device, t->merge_map(t, device.run(), scores.abi(), partners.abi(), threshold, limit, 0, groups.abi(),
                                       &count));
        groups.values.push_back(static_cast<int32_t>(count));
        return groups.values;
    };
    // Equal scores: token 0 goes before token 2.
    EXPECT_EQ(merge(4, {0.5f, 0.5f}, {1, 1}, kAll, 1), (std::vector<int32_t>{2, 1, 0, 2, 3}));
    // A score equal to the threshold is not above it.
    EXPECT_EQ(merge(4, {0.5f, 0.6f}, {1, 1}, 0.5f, 9), (std::vector<int32_t>{0, 1, 2, 2, 3}));
    EXPECT_EQ(merge(4, {NAN, NAN}, {0, 0}, kAll, 9), (std::vector<int32_t>{0, 2, 1, 3, 4}));
    EXPECT_EQ(merge(1, {0.9f}, {0}, kAll, 9), (std::vector<int32_t>{0, 1}));
    EXPECT_EQ(merge(0, {}, {}, kAll, 9), (std::vector<int32_t>{0}));
    EXPECT_EQ(merge(3, {1, 1}, {0, 0}, kAll, 0), (std::vector<int32_t>{0, 2, 1, 3}));
    Floats scores({2}, {1, 1});
    Ints partners({2}, {0, 5}), groups({4});
    int64_t count = 0;
    EXPECT_EQ(t->merge_map(t, device.run(), scores.abi(), partners.abi(), kAll, 9, 0, groups.abi(), &count),
              VLM_STATUS_OUT_OF_RANGE);
    EXPECT_EQ(t->merge_map(t, device.run(), scores.abi(), partners.abi(), kAll, -1, 0, groups.abi(), &count),
              VLM_STATUS_INVALID_ARGUMENT);
}

TEST(KeepMap, KeepsTheBestAndAllThatMayNotGo) {
    Device device;
    const auto t = device.table();
    Floats scores({6}, {0.1f, 0.5f, 0.5f, 0.9f, NAN, 0.0f});
    Bytes droppable({6}, {0, 1, 1, 1, 1, 0});
    Ints groups({6});
    const auto keep = [&](int64_t count) {
        EXPECT_OK(device, t->keep_map(t, device.run(), scores.abi(), droppable.abi(), count, groups.abi()));
        return groups.values;
    };
    EXPECT_EQ(keep(2), (std::vector<int32_t>{0, 1, -1, 2, -1, 3}));
    EXPECT_EQ(keep(0), (std::vector<int32_t>{0, -1, -1, -1, -1, 1}));
    EXPECT_EQ(keep(99), (std::vector<int32_t>{0, 1, 2, 3, 4, 5}));
    EXPECT_EQ(t->keep_map(t, device.run(), scores.abi(), droppable.abi(), -1, groups.abi()),
              VLM_STATUS_INVALID_ARGUMENT);
}

TEST(CarryMap, SizesOriginsAndPositionsThroughTwoMaps) {
    Device device;
    const auto t = device.table();
    Ints groups({5}, {0, 2, 1, 2, -1}), rows({5}, {9, 9, 9, 9, 9}), origins({3});
    Floats sizes({3}), logs({3});
    EXPECT_OK(device, t->carry_map(t, device.run(), groups.abi(), nullptr, nullptr, rows.abi(), sizes.abi(), logs.abi(),
                                   origins.abi()));
    EXPECT_EQ(rows.values, (std::vector<int32_t>{0, 2, 1, 2, -1}));
    EXPECT_EQ(sizes.values, (std::vector<float>{1, 1, 2}));
    EXPECT_EQ(origins.values, (std::vector<int32_t>{0, 2, 1}));
    EXPECT_FLOAT_EQ(logs[2], std::log(2.0f));
    Ints again({3}, {1, -1, 1}), new_origins({2});
    Floats new_sizes({2}), new_logs({2});
    EXPECT_OK(device, t->carry_map(t, device.run(), again.abi(), sizes.abi(), origins.abi(), rows.abi(),
                                   new_sizes.abi(), new_logs.abi(), new_origins.abi()));
    EXPECT_EQ(rows.values, (std::vector<int32_t>{1, 1, -1, 1, -1}));
    EXPECT_EQ(new_sizes.values, (std::vector<float>{0, 3}));
    EXPECT_EQ(new_origins.values, (std::vector<int32_t>{-1, 0}));
    again[0] = 2;
    EXPECT_EQ(t->carry_map(t, device.run(), again.abi(), sizes.abi(), origins.abi(), rows.abi(), new_sizes.abi(),
                           new_logs.abi(), new_origins.abi()),
              VLM_STATUS_OUT_OF_RANGE);
}

}  // namespace
}  // namespace vlm::test
