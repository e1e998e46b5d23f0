/** @file nearest_name_test.cpp
 *  The banded distance against the plain textbook recurrence on all short words, and what is suggested.
 */
#include "host/json/nearest_name.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace vlm {
namespace {

/** Optimal string alignment without any shortcut. */
size_t plain_distance(const std::string& a, const std::string& b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1, 0));
    for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
    for (size_t i = 1; i <= a.size(); ++i) {
        for (size_t j = 1; j <= b.size(); ++j) {
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
            }
        }
    }
    return d[a.size()][b.size()];
}

TEST(NearestName, DistanceEqualsThePlainRecurrenceOnAllShortWords) {
    std::vector<std::string> words = {""};
    for (size_t i = 0; i < words.size() && words[i].size() < 4; ++i) {
        for (const char c : {'a', 'b', 'c'}) words.push_back(words[i] + c);
    }
    for (const std::string& a : words) {
        for (const std::string& b : words) {
            const size_t exact = plain_distance(a, b);
            for (size_t limit = 0; limit <= 5; ++limit) {
                ASSERT_EQ(std::min(edit_distance(a, b, limit), limit + 1), std::min(exact, limit + 1))
                    << a << " / " << b << " limit " << limit;
            }
        }
    }
}

TEST(NearestName, DistanceOfLongerWords) {
    EXPECT_EQ(edit_distance("dtpye", "dtype", 3), 1U);
    EXPECT_EQ(edit_distance("kitten", "sitting", 10), 3U);
    EXPECT_EQ(edit_distance("encoder.layers.0.norm1", "encoder.layer.0.norm2", 5), 2U);
    EXPECT_GT(edit_distance("encoder.layers.0.norm1", "decoder", 5), 5U);
}

TEST(NearestName, SuggestsOnlyWhatIsNear) {
    const std::vector<std::string_view> known = {"dtype", "device", "plugin", "type"};
    EXPECT_EQ(did_you_mean("dtpye", known), "; did you mean \"dtype\"?");
    EXPECT_EQ(did_you_mean("plugins", known), "; did you mean \"plugin\"?");
    EXPECT_EQ(did_you_mean("temperature", known), "");
    EXPECT_EQ(did_you_mean("x", std::vector<std::string_view>{"y", ""}), "");
    EXPECT_EQ(did_you_mean("", known), "");
    EXPECT_EQ(nearest_names("dtype", known, 5), (std::vector<std::string>{"dtype", "type"}));
    EXPECT_EQ(nearest_names("dtype", known, 1).size(), 1U);
}

}  // namespace
}  // namespace vlm
