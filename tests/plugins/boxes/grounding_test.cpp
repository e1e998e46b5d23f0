/** @file grounding_test.cpp
 *  Grounded text against `clean_text_and_extract_entities_with_bboxes` of transformers 5.23.
 */
#include "plugins/boxes/grounding.hpp"

#include <gtest/gtest.h>

namespace vlm::boxes {
namespace {

void expect_box(const Box& found, const Box& expected) {
    for (size_t i = 0; i < 4; ++i) EXPECT_DOUBLE_EQ(found[i], expected[i]) << i;
}

TEST(Grounding, ReadsPhrasesAndBoxes) {
    const auto g = read_grounded(
        "<grounding> An image of<phrase> a snowman</phrase><object><patch_index_0044><patch_index_0863></object> "
        "warming himself by<phrase> a fire</phrase><object><patch_index_0005><patch_index_0911></object>.",
        32);
    EXPECT_EQ(g.text, "An image of a snowman warming himself by a fire.");
    ASSERT_EQ(g.entities.size(), 2U);
    EXPECT_EQ(g.entities[0].phrase, "a snowman");
    EXPECT_EQ(g.entities[0].begin, 12);
    EXPECT_EQ(g.entities[0].end, 21);
    expect_box(g.entities[0].boxes.at(0), {0.390625, 0.046875, 0.984375, 0.828125});
    EXPECT_EQ(g.entities[1].begin, 41);
    expect_box(g.entities[1].boxes.at(0), {0.171875, 0.015625, 0.484375, 0.890625});
}

TEST(Grounding, ReadsSeveralBoxesOfOnePhrase) {
    const auto g = read_grounded(
        "<phrase>two dogs</phrase><object><patch_index_0000><patch_index_0000></delimiter_of_multi_objects/>"
        "<patch_index_0031><patch_index_1023></object> run",
        32);
    EXPECT_EQ(g.text, "two dogs run");
    ASSERT_EQ(g.entities.size(), 1U);
    ASSERT_EQ(g.entities[0].boxes.size(), 2U);
    expect_box(g.entities[0].boxes[0], {0, 0, 0.03125, 0.03125});
    expect_box(g.entities[0].boxes[1], {0.96875, 0, 1, 1});
}

TEST(Grounding, BoxesWithoutAPhrase) {
    const auto g = read_grounded(" <object><patch_index_0003><patch_index_0040></object> here", 32);
    EXPECT_EQ(g.text, "here");
    ASSERT_EQ(g.entities.size(), 1U);
    EXPECT_EQ(g.entities[0].phrase, "");
    expect_box(g.entities[0].boxes.at(0), {0.109375, 0.015625, 0.265625, 0.046875});
    // Text between phrase and object: the object is not about that phrase.
    const auto apart =
        read_grounded("<phrase>a cat</phrase> <object><patch_index_0003><patch_index_0040></object>", 32);
    ASSERT_EQ(apart.entities.size(), 1U);
    EXPECT_EQ(apart.entities[0].phrase, "");
}

TEST(Grounding, BrokenMarkupIsText) {
    for (const char* text : {"a <phrase>cat</phrase> <object><patch_index_0003>", "<phrase>cut", "<object></object>",
                             "<object><patch_index_99999999999999999999><patch_index_1></object>", "<", "",
                             "<object><patch_index_-1><patch_index_1></object>", "<phrase></phrase>"})
        EXPECT_TRUE(read_grounded(text, 32).entities.empty()) << text;
    EXPECT_EQ(read_grounded("a <phrase>cat</phrase> <object><patch_index_0003>", 32).text, "a cat");
    EXPECT_EQ(read_grounded("3 < 5 and <b>bold</b>\n x", 32).text, "3 bold\n x");
    // Outside the grid of 4 x 4.
    EXPECT_TRUE(read_grounded("<object><patch_index_0003><patch_index_0016></object>", 4).entities.empty());
}

TEST(Grounding, SurvivesALongAnswer) {
    std::string text;
    for (int i = 0; i < 200000; ++i) text += "<object><patch_index_0001>";
    EXPECT_TRUE(read_grounded(text, 32).entities.empty());
}

}  // namespace
}  // namespace vlm::boxes
