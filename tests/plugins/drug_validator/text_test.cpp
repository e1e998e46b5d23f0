/** @file text_test.cpp
 *  Folding must make equal what a reader sees as equal, and never fail on bytes that are no text.
 */
#include "plugins/drug_validator/text.hpp"

#include <gtest/gtest.h>

namespace vlm::drug_validator {
namespace {

TEST(Text, DecodesAllLengthsAndEncodesBack) {
    const std::string text = "aé암\xF0\x9F\x92\x8A";
    EXPECT_EQ(decode_utf8(text), U"aé암💊");
    EXPECT_EQ(encode_utf8(decode_utf8(text)), text);
    EXPECT_EQ(find_invalid_utf8(text), std::string_view::npos);
}

TEST(Text, MalformedBytesBecomeReplacements) {
    EXPECT_EQ(decode_utf8("a\xFF\x62"), U"a\uFFFDb");
    EXPECT_EQ(decode_utf8("\xC0\x80"), U"\uFFFD\uFFFD");            // overlong
    EXPECT_EQ(decode_utf8("\xED\xA0\x80"), U"\uFFFD\uFFFD\uFFFD");  // surrogate
    EXPECT_EQ(decode_utf8("\xEC\x95"), U"\uFFFD\uFFFD");            // cut off
    EXPECT_EQ(decode_utf8("\xF4\x90\x80\x80").size(), 4u);          // above U+10FFFF
    EXPECT_EQ(find_invalid_utf8("ab\xEC\x95"), 2u);
    EXPECT_EQ(encode_utf8(std::u32string(1, static_cast<char32_t>(0xD800))), "\xEF\xBF\xBD");
}

TEST(Text, FoldsCaseWidthUnitsAndDiacritics) {
    EXPECT_EQ(fold_to_utf8("ＡＭＬＯ　５㎎"), "amlo 5mg");
    EXPECT_EQ(fold_to_utf8("10 ㎍ 5µg 5Μg"), "10 μg 5μg 5μg");
    EXPECT_EQ(fold_to_utf8("Éthinyl Ünï"), "ethinyl uni");
    EXPECT_EQ(fold_to_utf8("5–10 × ½"), "5-10 x 1/2");
    EXPECT_EQ(fold_to_utf8("e\u0301"), "e");
}

TEST(Text, FoldedOffsetsPointIntoTheSource) {
    const std::string source = "암 ㎎x";
    const FoldedText f = fold(source);
    ASSERT_EQ(f.text, U"암 mgx");
    ASSERT_EQ(f.offset.size(), f.text.size() + 1);
    EXPECT_EQ(f.offset, (std::vector<std::size_t>{0, 3, 4, 4, 7, 8}));
}

TEST(Text, ComposesDecomposedHangul) {
    // "값암" as conjoining jamo, as macOS writes it.
    EXPECT_EQ(fold("\u1100\u1161\u11B9\u110B\u1161\u11B7").text, U"값암");
    EXPECT_EQ(match_key("\u110B\u1161\u11B7\u1105\u1169"), match_key("암로"));
}

TEST(Text, SplitsSyllablesIntoJamo) {
    EXPECT_EQ(to_jamo(U"암"), U"ㅇㅏㅁ");
    EXPECT_EQ(to_jamo(U"와값힣가"), U"ㅇㅘㄱㅏㅄㅎㅣㅎㄱㅏ");
    EXPECT_EQ(to_jamo(U"a5ㅋ"), U"a5ㅋ");
}

TEST(Text, KeyKeepsLettersAndDigitsOnly) {
    EXPECT_EQ(match_key(" Ursodeoxycholic-Acid (B12) "), U"ursodeoxycholicacidb12");
    EXPECT_TRUE(match_key(" -()./ ").empty());
    EXPECT_EQ(trim(" \t a b \n"), "a b");
    EXPECT_EQ(trim("  "), "");
}

}  // namespace
}  // namespace vlm::drug_validator
