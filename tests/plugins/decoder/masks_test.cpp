/** @file masks_test.cpp
 *  Every mask against its definition, pair by pair, with text before, between and behind images.
 */
#include "plugins/decoder/masks.hpp"

#include <gtest/gtest.h>
#include <vlm/attention.h>

namespace vlm::decoder {
namespace {

/** Row `row` of the last `rows` of `keys`, as the kernel would see it. */
bool sees(const Mask& mask, size_t rows, size_t keys, size_t row, size_t key) {
    switch (mask.rule) {
        case VLM_MASK_FULL:
            return true;
        case VLM_MASK_CAUSAL:
            return key <= keys - rows + row;
        case VLM_MASK_RANGES:
            return static_cast<int32_t>(key) >= mask.begin.at(row) && static_cast<int32_t>(key) < mask.end.at(row);
        default:
            return mask.visible.at(row * keys + key) == 1;
    }
}

struct Keys {
    std::vector<int32_t> index;
    std::vector<int32_t> image;
    explicit Keys(std::vector<int32_t> images) : image(std::move(images)) {
        for (size_t i = 0; i < image.size(); ++i) index.push_back(static_cast<int32_t>(i));
    }
    KeyInfo info() const { return {index, image}; }
};

/** Compares with `visible(row, key)` over absolute key numbers. */
template <typename Visible>
void expect_mask(const Mask& mask, const Keys& keys, size_t rows, Visible visible) {
    size_t count = keys.image.size();
    for (size_t row = 0; row < rows; ++row) {
        for (size_t key = 0; key < count; ++key) {
            EXPECT_EQ(sees(mask, rows, count, row, key), visible(count - rows + row, key)) << row << " " << key;
        }
    }
}

TEST(MasksTest, CausalNeedsNoTable) {
    Keys keys({-1, -1, 0, 0, -1});
    EXPECT_EQ(make_mask(MaskKind::causal, 0, true, keys.info(), 5).rule, static_cast<uint32_t>(VLM_MASK_CAUSAL));
    EXPECT_EQ(make_mask(MaskKind::causal, 5, true, keys.info(), 5).rule, static_cast<uint32_t>(VLM_MASK_CAUSAL));
}

TEST(MasksTest, AWindowCountsTheRowItselfAndTokensNotKeys) {
    Keys keys({-1, -1, -1, -1, -1, -1});
    keys.index = {0, 1, 5, 6, 7, 9};  // 2 to 4 and 8 were pruned
    Mask mask = make_mask(MaskKind::causal, 3, false, keys.info(), 4);
    expect_mask(mask, keys, 4,
                [&](size_t row, size_t key) { return key <= row && keys.index[key] > keys.index[row] - 3; });
}

TEST(MasksTest, PrefixOpensVisualKeysToAll) {
    for (const std::vector<int32_t>& images :
         {std::vector<int32_t>{0, 0, 0, -1, -1}, {-1, -1, 0, 0, -1}, {0, -1, 1, 1, -1, -1}, {-1, -1}}) {
        Keys keys(images);
        Mask mask = make_mask(MaskKind::prefix, 0, true, keys.info(), static_cast<int64_t>(images.size()));
        expect_mask(mask, keys, images.size(),
                    [&](size_t row, size_t key) { return images[key] >= 0 || (images[row] < 0 && key <= row); });
    }
    // With the image in front every row is a range; with text in front it is not.
    EXPECT_NE(make_mask(MaskKind::prefix, 0, true, Keys({0, 0, -1}).info(), 3).rule,
              static_cast<uint32_t>(VLM_MASK_DENSE));
    EXPECT_EQ(make_mask(MaskKind::prefix, 0, true, Keys({-1, -1, 0, 0, -1}).info(), 5).rule,
              static_cast<uint32_t>(VLM_MASK_DENSE));
}

TEST(MasksTest, BlockCausalOpensOnlyTheOwnImage) {
    Keys keys({-1, 0, 0, 1, 1, 1, -1, 2, 2});
    Mask mask = make_mask(MaskKind::block_causal, 0, false, keys.info(), 8);
    expect_mask(mask, keys, 8, [&](size_t row, size_t key) {
        return key <= row || (keys.image[row] >= 0 && keys.image[row] == keys.image[key]);
    });
    EXPECT_EQ(mask.rule, static_cast<uint32_t>(VLM_MASK_RANGES));
}

TEST(MasksTest, PrefixLmIsOpenInTheFirstRunOnly) {
    Keys keys({0, 0, -1, -1});
    expect_mask(make_mask(MaskKind::prefix_lm, 0, true, keys.info(), 4), keys, 4, [](size_t, size_t) { return true; });
    expect_mask(make_mask(MaskKind::prefix_lm, 2, true, keys.info(), 4), keys, 4, [](size_t, size_t) { return true; });
    expect_mask(make_mask(MaskKind::prefix_lm, 0, false, keys.info(), 2), keys, 2,
                [](size_t row, size_t key) { return key <= row; });
}

TEST(MasksTest, FullSeesEverything) {
    Keys keys({-1, 0, -1});
    expect_mask(make_mask(MaskKind::full, 0, false, keys.info(), 2), keys, 2, [](size_t, size_t) { return true; });
}

TEST(MasksTest, MemoryRowsSeeTheirImage) {
    Mask mask = make_memory_mask(std::vector<int32_t>{-1, 0, 2, 1}, std::vector<int64_t>{3, 5, 9});
    EXPECT_EQ(mask.begin, (std::vector<int32_t>{0, 0, 5, 3}));
    EXPECT_EQ(mask.end, (std::vector<int32_t>{0, 3, 9, 5}));
}

}  // namespace
}  // namespace vlm::decoder
