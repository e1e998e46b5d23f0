/** @file parity_padding_test.cpp
 *  Padding that a batching reference added is taken out, element by element.
 */
#include "host/cli/parity_padding.hpp"

#include <gtest/gtest.h>

namespace vlm::cli {
namespace {

/** Two images of 2 x 4 pixels; the second is real in its left half only. */
PixelMask half_mask() {
    return {{1, 2, 2, 4}, {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 1, 1, 0, 0}};
}

TEST(ParityPadding, KeepsRealPixels) {
    std::vector<double> pixels;
    for (int i = 0; i < 16; ++i) pixels.push_back(i);
    const auto kept = without_padding(pixels, std::vector<int64_t>{1, 2, 1, 2, 4}, half_mask());
    EXPECT_EQ(kept, (std::vector<double>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13}));
}

TEST(ParityPadding, KeepsWholePatches) {
    const std::vector<double> rows = {1, 10, 2, 20, 3, 30, 4, 40};  // two images, two patches, width 2
    const auto kept = without_padding(rows, std::vector<int64_t>{2, 2, 2}, half_mask());
    EXPECT_EQ(kept, (std::vector<double>{1, 10, 2, 20, 3, 30}));
    auto mask = half_mask();
    mask.values[5] = 0;  // one missing pixel takes the whole patch
    EXPECT_EQ(without_padding(rows, std::vector<int64_t>{2, 2, 2}, mask), (std::vector<double>{2, 20, 3, 30}));
}

TEST(ParityPadding, LeavesOtherTensorsAlone) {
    const std::vector<double> values = {1, 2, 3, 4, 5, 6};
    EXPECT_EQ(without_padding(values, std::vector<int64_t>{2, 3}, half_mask()), values);
    EXPECT_EQ(without_padding(values, std::vector<int64_t>{3, 1, 2}, half_mask()), values);
    EXPECT_EQ(without_padding(values, std::vector<int64_t>{2, 2, 2}, {{2, 4}, {1, 1, 1, 1, 1, 1, 1, 1}}), values);
}

}  // namespace
}  // namespace vlm::cli
