/** @file ranking_test.cpp
 *  Arithmetic of rankings on numbers that can be checked by hand.
 */
#include "plugins/similarity/ranking.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace vlm::similarity {
namespace {

TEST(Ranking, NormalisesRowsAndKeepsZeros) {
    Matrix m{2, {3, 4, 0, 0}};
    normalize_rows(m);
    EXPECT_EQ(m.values, (std::vector<float>{0.6F, 0.8F, 0, 0}));
}

TEST(Ranking, MultipliesAndTransposes) {
    const Matrix a{2, {1, 2, 3, 4}}, b{2, {1, 0, 0, 1, 1, 1}};
    const Matrix p = products(a, b, 10);
    EXPECT_EQ(p.columns, 3);
    EXPECT_EQ(p.values, (std::vector<float>{10, 20, 30, 30, 40, 70}));
    EXPECT_EQ(transposed(p).values, (std::vector<float>{10, 30, 20, 40, 30, 70}));
}

TEST(Ranking, Probabilities) {
    const float scores[] = {0, std::log(3.F)};
    EXPECT_NEAR(softmax(scores, 2)[1], 0.75, 1e-7);
    EXPECT_NEAR(sigmoid(scores, 2)[1], 0.75, 1e-7);
    const float large[] = {1e30F, 0};
    EXPECT_EQ(softmax(large, 2)[0], 1.0);  // no overflow
    EXPECT_TRUE(softmax(scores, 0).empty());
}

TEST(Ranking, BestFirstTiesByIndex) {
    const float scores[] = {1, 5, std::numeric_limits<float>::quiet_NaN(), 5, 2};
    EXPECT_EQ(best(scores, 5, 10), (std::vector<int64_t>{1, 3, 4, 0, 2}));
    EXPECT_EQ(best(scores, 5, 2), (std::vector<int64_t>{1, 3}));
}

}  // namespace
}  // namespace vlm::similarity
