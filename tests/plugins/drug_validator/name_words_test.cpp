/** @file name_words_test.cpp
 *  What is cut off a name, and that nothing is cut until nothing remains.
 */
#include "plugins/drug_validator/name_words.hpp"

#include <gtest/gtest.h>

namespace vlm::drug_validator {
namespace {

TEST(NameWords, LatinWords) {
    for (const char* w : {"tab", "capsule", "syr", "inj", "susp"}) EXPECT_TRUE(is_form_word(w)) << w;
    for (const char* w : {"xr", "sr", "er", "retard"}) EXPECT_TRUE(is_release_word(w)) << w;
    for (const char* w : {"besylate", "sodium", "hcl", "medoxomil"}) EXPECT_TRUE(is_salt_word(w)) << w;
    EXPECT_TRUE(is_note_word("급여"));
    EXPECT_FALSE(is_form_word("amlodipine") || is_release_word("amlodipine") || is_salt_word("amlodipine") ||
                 is_note_word("amlodipine"));
    EXPECT_FALSE(is_form_word("") || is_release_word("") || is_salt_word("") || is_note_word(""));
}

TEST(NameWords, KoreanSuffixes) {
    EXPECT_EQ(strip_korean_form("암로디핀정").stem, "암로디핀");
    EXPECT_EQ(strip_korean_form("오메프라졸캡슐").cut, "캡슐");
    EXPECT_EQ(strip_korean_form("두타스테리드연질캡슐").cut, "연질캡슐");
    EXPECT_EQ(strip_korean_release("딜티아젬서방").stem, "딜티아젬");
    EXPECT_EQ(strip_korean_salt("로사르탄칼륨").cut, "칼륨");
    EXPECT_EQ(strip_korean_form("정").stem, "정");
    EXPECT_EQ(strip_korean_form("amlodipine").cut, "");
}

}  // namespace
}  // namespace vlm::drug_validator
