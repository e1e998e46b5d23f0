/** @file unicode_test.cpp
 *  Character classes and normal forms at the places where Unicode versions and definitions part.
 */
#include "host/tokenizer/unicode.hpp"

#include <gtest/gtest.h>

namespace {

using namespace vlm::tok;

TEST(Unicode, Classes) {
    EXPECT_TRUE(is_white_space(0x85) && is_white_space(0x3000) && is_white_space(0xA0) && !is_white_space(0x200B));
    EXPECT_TRUE(is_word('a') && is_word('_') && is_word(0xAC00) && is_word(0x301) && is_word(0x200D) && !is_word('-') &&
                !is_word(' '));
    EXPECT_TRUE(is_numeric('5') && is_numeric(0xBD) && is_numeric(0x2167) && !is_numeric('a'));
    EXPECT_TRUE(is_punctuation('$') && is_punctuation(0x3002) && !is_punctuation(0x20AC));
    EXPECT_TRUE(is_combining_mark(0x301) && is_combining_mark(0x903) && !is_nonspacing_mark(0x903) &&
                is_nonspacing_mark(0x301));
    EXPECT_TRUE(is_bert_control(0x7F) && is_bert_control(0xE000) && is_bert_control(0x200D) && !is_bert_control('a'));
    EXPECT_EQ(script_class(' '), 0u);
    EXPECT_EQ(script_class(0x3042), script_class(0x4E00)) << "kana go with Han";
    EXPECT_NE(script_class('a'), script_class(0x3B1));
}

TEST(Unicode, LowerCase) {
    const auto lower = [](char32_t c) {
        std::string out;
        append_lower(out, c);
        return out;
    };
    EXPECT_EQ(lower('A'), "a");
    EXPECT_EQ(lower(0x130), "i\u0307");
    EXPECT_EQ(lower(0x3A3), "σ");
    EXPECT_EQ(lower(0x100), "ā");
    EXPECT_EQ(lower(0x101), "ā");
    EXPECT_EQ(lower(0x1E9E), "ß");
    EXPECT_EQ(lower(0xAC00), "가");
}

TEST(Unicode, NormalForms) {
    EXPECT_EQ(normal_form("e\u0301", NormalForm::kNfc), "é");
    EXPECT_EQ(normal_form("é", NormalForm::kNfd), "e\u0301");
    EXPECT_EQ(normal_form("\u1112\u1161\u11ab", NormalForm::kNfc), "한");
    EXPECT_EQ(normal_form("ﬁ①㎎", NormalForm::kNfkc), "fi1mg");
    EXPECT_EQ(normal_form("ﬁ", NormalForm::kNfc), "ﬁ");
    EXPECT_EQ(normal_form("a\u0301\u0316", NormalForm::kNfd), "a\u0316\u0301") << "marks are ordered";
    EXPECT_EQ(normal_form(std::string("\0a", 2), NormalForm::kNfkd), std::string("\0a", 2));
    EXPECT_EQ(normal_form("\u32ff", NormalForm::kNfkc), "\u32ff") << "newer than the reference's data";
    EXPECT_EQ(normal_form("", NormalForm::kNfc), "");
}

TEST(Unicode, GraphemeClusters) {
    EXPECT_EQ(grapheme_boundaries(""), (std::vector<std::size_t>{0}));
    EXPECT_EQ(grapheme_boundaries("ae\u0301b"), (std::vector<std::size_t>{0, 1, 4, 5}));
    EXPECT_EQ(grapheme_boundaries("\r\n\n"), (std::vector<std::size_t>{0, 2, 3}));
    EXPECT_EQ(grapheme_boundaries("👨‍👩‍👧"), (std::vector<std::size_t>{0, 18}));
}

}  // namespace
