/** @file edit_distance_test.cpp
 *  The bit-parallel distance against the textbook recurrence, with lengths around the 64-bit blocks where carries go
 * wrong.
 */
#include "plugins/drug_validator/edit_distance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <vector>

#include "plugins/drug_validator/text.hpp"

namespace vlm::drug_validator {
namespace {

/** Optimal string alignment by its definition. */
std::size_t reference(const std::u32string& a, const std::u32string& b) {
    std::vector<std::vector<std::size_t>> d(a.size() + 1, std::vector<std::size_t>(b.size() + 1));
    for (std::size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
    for (std::size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
    for (std::size_t i = 1; i <= a.size(); ++i)
        for (std::size_t j = 1; j <= b.size(); ++j) {
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[a.size()][b.size()];
}

TEST(EditDistance, KnownPairs) {
    EXPECT_EQ(edit_distance(U"", U""), 0u);
    EXPECT_EQ(edit_distance(U"", U"abc"), 3u);
    EXPECT_EQ(edit_distance(U"abc", U""), 3u);
    EXPECT_EQ(edit_distance(U"kitten", U"sitting"), 3u);
    EXPECT_EQ(edit_distance(U"amlodipine", U"amldoipine"), 1u);
    EXPECT_EQ(edit_distance(U"ca", U"abc"), 3u);  // the restricted variant: a swapped pair is not edited again
    EXPECT_EQ(edit_distance(std::u32string(1, U'\0'), U"a"), 1u);
    EXPECT_EQ(edit_distance(std::u32string(2, U'\0'), std::u32string(3, U'\0')), 1u);
}

TEST(EditDistance, JamoSeeOneStrokeWhereSyllablesSeeAWholeLetter) {
    EXPECT_EQ(edit_distance(match_key("암로디핀"), match_key("암로티핀")), 1u);
    EXPECT_EQ(edit_distance(match_key("다파글리플로진"), match_key("카나글리플로진")), 2u);
}

TEST(EditDistance, EqualsTheRecurrenceAtAllLengths) {
    std::mt19937 random(7);
    const auto word = [&](std::size_t length, char32_t letters) {
        std::u32string w(length, U'a');
        for (char32_t& c : w) c = U'a' + static_cast<char32_t>(random() % letters);
        return w;
    };
    for (int round = 0; round < 1500; ++round) {
        const char32_t letters = 2 + static_cast<char32_t>(random() % 6);
        const std::u32string a = word(random() % 200, letters);
        std::u32string b = random() % 2 ? word(random() % 200, letters) : a;
        for (std::size_t k = random() % 6; k > 0 && b.size() > 1; --k)
            std::swap(b[random() % (b.size() - 1)], b[b.size() - 1]);
        ASSERT_EQ(edit_distance(a, b), reference(a, b)) << "lengths " << a.size() << " and " << b.size();
    }
}

TEST(EditDistance, SwapAcrossABlockBoundary) {
    for (std::size_t at : {62u, 63u, 64u, 127u, 128u}) {
        std::u32string a;
        for (char32_t i = 0; i < 150; ++i) a.push_back(1000 + i);
        std::u32string b = a;
        std::swap(b[at], b[at + 1]);
        EXPECT_EQ(edit_distance(a, b), 1u) << at;
    }
}

TEST(EditDistance, NormalizesByTheLonger) {
    EXPECT_DOUBLE_EQ(normalized_distance(1, 8, 10), 0.1);
    EXPECT_DOUBLE_EQ(normalized_distance(0, 0, 0), 0);
}

TEST(EditDistance, PlacesAreAsManyAsTheDistance) {
    std::mt19937 random(3);
    for (int round = 0; round < 2000; ++round) {
        std::u32string a, b;
        for (std::size_t k = random() % 8; k > 0; --k) a.push_back(U'a' + random() % 3);
        for (std::size_t k = random() % 8; k > 0; --k) b.push_back(U'a' + random() % 3);
        const auto places = edit_places(a, b);
        ASSERT_EQ(places.size(), edit_distance(a, b));
        for (const EditPlace& p : places) ASSERT_LE(p.end, a.size());
    }
    const auto missing = edit_places(U"abd", U"abcd");
    ASSERT_EQ(missing.size(), 1u);
    EXPECT_EQ(missing[0].begin, 2u);
    EXPECT_EQ(missing[0].end, 2u);
    const auto swapped = edit_places(U"abdc", U"abcd");
    ASSERT_EQ(swapped.size(), 1u);
    EXPECT_EQ(swapped[0].begin, 2u);
    EXPECT_EQ(swapped[0].end, 4u);
}

}  // namespace
}  // namespace vlm::drug_validator
