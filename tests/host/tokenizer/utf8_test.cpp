/** @file utf8_test.cpp
 *  Every boundary of table 3-7 of the Unicode standard.
 */
#include "host/tokenizer/utf8.hpp"

#include <gtest/gtest.h>

namespace {

using namespace vlm::tok;

TEST(Utf8, RoundTripsEveryCodePoint) {
    for (char32_t c = 0; c < 0x110000; c += c < 0x1000 ? 1 : 37) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string text;
        append_utf8(text, c);
        ASSERT_EQ(first_invalid_utf8(text), std::string::npos) << std::hex << static_cast<unsigned>(c);
        std::size_t pos = 0;
        ASSERT_EQ(next_code_point(text, pos), c);
        ASSERT_EQ(pos, text.size());
        ASSERT_EQ(last_code_point("x" + text), 1u);
    }
}

TEST(Utf8, FindsTheFirstInvalidByte) {
    EXPECT_EQ(first_invalid_utf8("ab\x80"), 2u);
    EXPECT_EQ(first_invalid_utf8("\xC1\xBF"), 0u);
    EXPECT_EQ(first_invalid_utf8("\xE0\x9F\xBF"), 0u);
    EXPECT_EQ(first_invalid_utf8("a\xED\xA0\x80"), 1u);
    EXPECT_EQ(first_invalid_utf8("\xF0\x8F\xBF\xBF"), 0u);
    EXPECT_EQ(first_invalid_utf8("\xF4\x90\x80\x80"), 0u);
    EXPECT_EQ(first_invalid_utf8("\xF4\x8F\xBF\xBF"), std::string::npos);
    EXPECT_EQ(first_invalid_utf8("a\xE2\x82"), 1u);
}

TEST(Utf8, ReplacesMaximalSubparts) {
    const auto lossy = [](std::string bytes, bool last) {
        std::string out;
        append_lossy(out, bytes, last);
        return out + "|" + std::to_string(bytes.size());
    };
    const std::string bad = "\xEF\xBF\xBD";
    EXPECT_EQ(lossy("a\xE2\x82", false), "a|2");
    EXPECT_EQ(lossy("a\xE2\x82", true), "a" + bad + "|0");
    EXPECT_EQ(lossy("\xE2\x82z", false), bad + "z|0");
    EXPECT_EQ(lossy("\xF0\x80\x80", true), bad + bad + bad + "|0");
    EXPECT_EQ(lossy("\xFF\xFE", false), bad + bad + "|0");
}

TEST(Utf8, ReplaceAll) {
    EXPECT_EQ(replace_all("aXXb", "X", "--"), "a----b");
    EXPECT_EQ(replace_all("ab", "", "."), ".a.b.");
    EXPECT_EQ(replace_all("", "", "."), ".");
}

}  // namespace
