/** @file extract_json_test.cpp
 *  JSON answers as language models write them: other keys, other languages, cut off in the middle.
 */
#include <gtest/gtest.h>

#include "plugins/drug_validator/extract.hpp"

namespace vlm::drug_validator {
namespace {

TEST(ExtractJson, KnownKeysOfBothLanguages) {
    const auto d = extract_json(
        R"([{"Drug_Name": "Amlodipine", "Strength": "5 mg", "per-dose": "1 tab", "times per day": 3, "days": 7},
                                    {"약품명": "메트포르민정", "용량": "500mg", "1회 투약량": "1정", "횟수": "2회", "투약일수": "30일", "용법": "식후"}])");
    ASSERT_EQ(d.size(), 2u);
    EXPECT_EQ(d[0].name.text, "Amlodipine");
    EXPECT_EQ(d[0].dose.text, "5 mg");
    EXPECT_EQ(d[0].per.text, "1 tab");
    EXPECT_EQ(d[0].times.text, "3");
    EXPECT_EQ(d[0].days.text, "7");
    EXPECT_EQ(d[1].name.text, "메트포르민정");
    EXPECT_EQ(d[1].times.text, "2회");
    EXPECT_EQ(d[1].schedule.text, "식후");
}

TEST(ExtractJson, NestedObjectsKeepTheirFieldsApart) {
    const auto d = extract_json(
        R"({"patient": {"age": 50}, "medications": [{"name": "A drug", "dose": "5 mg"}, {"name": "B drug"}], "note": "x"})");
    ASSERT_EQ(d.size(), 2u);
    EXPECT_EQ(d[0].dose.text, "5 mg");
    EXPECT_TRUE(d[1].dose.empty());
}

TEST(ExtractJson, PlacesAndEscapes) {
    const std::string text = R"({"name": "\uc554\ub85c \ud83d\udc8a\"x\"", "dose": "5 mg"})";
    const auto d = extract_json(text);
    ASSERT_EQ(d.size(), 1u);
    EXPECT_EQ(d[0].name.text, "암로 💊\"x\"");
    EXPECT_EQ(text.substr(d[0].dose.begin, d[0].dose.end - d[0].dose.begin), "\"5 mg\"");
}

TEST(ExtractJson, CutOffAnswersAreReadAsFarAsTheyGo) {
    const auto d = extract_json(R"({"drugs": [{"name": "Amlodipine", "dosage": "5 mg"}, {"name": "Metfor)");
    ASSERT_EQ(d.size(), 2u);
    EXPECT_EQ(d[1].name.text, "Metfor");
}

TEST(ExtractJson, StringsInListsAreLines) {
    const auto d = extract_json(R"({"drugs": ["Amlodipine 5 mg", "Metformin 500 mg"]})");
    ASSERT_EQ(d.size(), 2u);
    EXPECT_EQ(d[0].name.text, "Amlodipine");
    EXPECT_EQ(d[1].dose.text, "500 mg");
    const auto loose = extract_json(R"({"text": "Amlodipine 5 mg tab"})");
    ASSERT_EQ(loose.size(), 1u);
    EXPECT_EQ(loose[0].name.text, "Amlodipine");
}

}  // namespace
}  // namespace vlm::drug_validator
