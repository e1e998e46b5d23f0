/** @file dosage_test.cpp
 *  Strengths as pharmacies print them, and the numbers on a page that are none.
 */
#include "plugins/drug_validator/dosage.hpp"

#include <gtest/gtest.h>

#include <random>

namespace vlm::drug_validator {
namespace {

std::string first(std::string_view text) {
    const auto d = find_dosage(text);
    return d ? d->normalized() : "none";
}

bool same(std::string_view a, std::string_view b) {
    const auto x = parse_dosage(a);
    const auto y = parse_dosage(b);
    EXPECT_TRUE(x) << a;
    EXPECT_TRUE(y) << b;
    return x && y && same_strength(*x, *y);
}

TEST(Dosage, NumbersAndUnits) {
    for (const char* text : {"5mg", "5 MG", "5㎎", "５ｍｇ", "5.0 mg", "5밀리그램", "5 밀리그람씩", "암로디핀정5mg",
                             "Amlodipine5mg", "(5 mg)", "5mg정", "5mgtab", "5mgx2", "05 mg", "5 milligrams"})
        EXPECT_EQ(first(text), "5 mg") << text;
    EXPECT_EQ(first("0.25mcg"), "0.25 mcg");
    EXPECT_EQ(first("25 µg"), "25 mcg");
    EXPECT_EQ(first("25㎍"), "25 mcg");
    EXPECT_EQ(first("25 마이크로그램"), "25 mcg");
    EXPECT_EQ(first("1,000IU"), "1000 IU");
    EXPECT_EQ(first("1,000,000 I.U."), "1000000 IU");
    EXPECT_EQ(first("100만단위"), "1000000 unit");
    EXPECT_EQ(first("100단위"), "100 unit");
    EXPECT_EQ(first("0,5 g"), "0.5 g");
    EXPECT_EQ(first("2·5 mg"), "2.5 mg");
    EXPECT_EQ(first(".5 mg"), "0.5 mg");
    EXPECT_EQ(first("10밀리리터"), "10 ml");
    EXPECT_EQ(first("0.1 %"), "0.1 %");
    EXPECT_EQ(first("20 mEq"), "20 mEq");
}

TEST(Dosage, RangesCombinationsAndConcentrations) {
    EXPECT_EQ(first("5-10mg"), "5-10 mg");
    EXPECT_EQ(first("5 ~ 10 ㎎"), "5-10 mg");
    EXPECT_EQ(first("5mg–10mg"), "5-10 mg");
    EXPECT_EQ(first("500 mg to 1 g"), "500 mg-1 g");
    EXPECT_EQ(first("500mg/5ml"), "500 mg/5 ml");
    EXPECT_EQ(first("100 units/ml"), "100 unit/ml");
    EXPECT_EQ(first("1 g/100 ml"), "1 g/100 ml");
    EXPECT_EQ(first("10mg/g"), "10 mg/g");
    EXPECT_EQ(first("12 mcg/h"), "12 mcg/h");
    EXPECT_EQ(first("10/100 mg"), "10 mg/100 mg");
    EXPECT_EQ(first("5mg+160mg"), "5 mg/160 mg");
    EXPECT_EQ(first("2.5/5/10 mg"), "2.5 mg/5 mg/10 mg");
    EXPECT_EQ(first("5mg/정"), "5 mg");
    EXPECT_EQ(first("5mg/tab"), "5 mg");
}

TEST(Dosage, OtherNumbersAreNone) {
    for (const char* text : {"", "5", "2026-02-08", "1정 3회 7일", "12,000원", "B12", "010-1234-5678", "mg", "0 mg",
                             "9999999999 mg", "5 mmHg", "3 T", "Q10 mg", "1.2345678 mg", "70 kg"})
        EXPECT_EQ(first(text), "none") << text;
    EXPECT_EQ(first("1. 5mg"), "5 mg");
    EXPECT_EQ(first("500-5mg"), "5 mg");
    EXPECT_EQ(first("2026-02-08 5mg"), "5 mg");
}

TEST(Dosage, RepairsLettersOnlyWhereTheNumberNeedsIt) {
    for (const char* text : {"1O mg", "l0mg", "IO mg 10mg"}) EXPECT_EQ(first(text), "10 mg") << text;
    EXPECT_TRUE(find_dosage("1O mg")->repaired);
    EXPECT_EQ(first("5OOmg"), "500 mg");
    EXPECT_FALSE(find_dosage("10 IU")->repaired);
    EXPECT_EQ(first("10iu"), "10 IU");
    EXPECT_EQ(first("oil mg"), "none");
}

TEST(Dosage, PlacesAreBytesOfTheSource) {
    const std::string text = "암로디핀정(５㎎) 1정, 20 mg";
    const auto all = find_dosages(text);
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(text.substr(all[0].begin, all[0].end - all[0].begin), "５㎎");
    EXPECT_EQ(text.substr(all[1].begin, all[1].end - all[1].begin), "20 mg");
    EXPECT_EQ(find_dosage(text, all[0].end)->normalized(), "20 mg");
    EXPECT_FALSE(parse_dosage(text));
}

TEST(Dosage, ComparesAmountsAcrossUnits) {
    EXPECT_TRUE(same("0.5 g", "500 mg"));
    EXPECT_TRUE(same("1000 mcg", "1 mg"));
    EXPECT_TRUE(same("0.125 mg", "125 mcg"));
    EXPECT_TRUE(same("1000 unit", "1,000 IU"));
    EXPECT_TRUE(same("500 mg/5 ml", "100 mg/ml"));
    EXPECT_TRUE(same("10/100 mg", "10mg/100mg"));
    EXPECT_TRUE(same("5-10 mg", "5mg~0.01g"));
    EXPECT_FALSE(same("5 mg", "50 mg"));
    EXPECT_FALSE(same("5 mg", "5 mcg"));
    EXPECT_FALSE(same("5 mg", "5 ml"));
    EXPECT_FALSE(same("5 mg", "5-10 mg"));
    EXPECT_FALSE(same("500 mg", "500 mg/5 ml"));
    EXPECT_FALSE(same("10/100 mg", "100/10 mg"));
    EXPECT_FALSE(same("1 %", "1 mg"));
    EXPECT_FALSE(same("5 mg/ml", "5 mg/h"));
}

TEST(Dosage, AnyBytesAreAccepted) {
    std::mt19937 random(3);
    const std::string alphabet = "0159.,/-+~ oOlI|mgMGmcgIU%\xC2\xB5\xEC\xA0\x95\xFFkh()";
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (std::size_t k = random() % 24; k > 0; --k) text.push_back(alphabet[random() % alphabet.size()]);
        for (const Dosage& d : find_dosages(text)) {
            ASSERT_LT(d.begin, d.end);
            ASSERT_LE(d.end, text.size());
            ASSERT_TRUE(same_strength(d, d)) << text;
        }
    }
    EXPECT_TRUE(find_dosages(std::string(200000, '1') + std::string(200000, '|') + std::string(200000, 'o')).empty());
    EXPECT_EQ(find_dosages(std::string(100000, '5') + " mg").size(), 0u);
}

}  // namespace
}  // namespace vlm::drug_validator
