/** @file extract_test.cpp
 *  The tagged answer of the shipped model, whole and damaged, and the choice between the readers.
 */
#include "plugins/drug_validator/extract.hpp"

#include <gtest/gtest.h>

#include <random>

namespace vlm::drug_validator {
namespace {

TEST(Extract, TaggedFieldsWithTheirPlaces) {
    const std::string text =
        "<s_name>암로디핀정</s_name><s_dose>5mg</s_dose><s_per>1정</s_per><s_times>3회</s_times><s_days>7일</s_days>";
    const auto d = extract_fields(text);
    ASSERT_EQ(d.size(), 1u);
    EXPECT_EQ(d[0].name.text, "암로디핀정");
    EXPECT_EQ(d[0].dose.text, "5mg");
    EXPECT_EQ(d[0].per.text, "1정");
    EXPECT_EQ(d[0].times.text, "3회");
    EXPECT_EQ(d[0].days.text, "7일");
    EXPECT_EQ(text.substr(d[0].name.begin, d[0].name.end - d[0].name.begin), "<s_name>암로디핀정</s_name>");
    EXPECT_EQ(text.substr(d[0].dose.begin, d[0].dose.end - d[0].dose.begin), "<s_dose>5mg</s_dose>");
}

TEST(Extract, SeveralDrugsNoneAndContinuation) {
    const auto two = extract_fields("<s_name>a</s_name><s_dose>1 mg</s_dose><sep/><s_name>b</s_name></s>");
    ASSERT_EQ(two.size(), 2u);
    EXPECT_EQ(two[1].name.text, "b");
    EXPECT_TRUE(two[1].dose.empty());
    EXPECT_EQ(extract_fields("<s_name>a</s_name><s_name>b</s_name>").size(), 2u);
    EXPECT_TRUE(extract_fields("<none/>").empty());
    EXPECT_TRUE(extract_fields("").empty());
    const auto below = extract_fields("<s_times>3회</s_times><s_days>7일</s_days>");
    ASSERT_EQ(below.size(), 1u);
    EXPECT_TRUE(below[0].name.empty());
    EXPECT_EQ(below[0].days.text, "7일");
}

TEST(Extract, DamagedTags) {
    const auto open = extract_fields("<s_name>암로디핀정<s_dose>5mg");
    ASSERT_EQ(open.size(), 1u);
    EXPECT_EQ(open[0].name.text, "암로디핀정");
    EXPECT_EQ(open[0].dose.text, "5mg");
    const auto odd = extract_fields(
        "x<s_name>a <b 5 < 7</s_name></s_dose><s_foo>zzz</s_foo><s_dose>5</s_dose><s_dose>6</s_dose><s_days");
    ASSERT_EQ(odd.size(), 1u);
    EXPECT_EQ(odd[0].name.text, "a <b 5 < 7");
    EXPECT_EQ(odd[0].dose.text, "5");
    EXPECT_TRUE(extract_fields("<s_name>  </s_name>").empty());
}

TEST(Extract, ChoosesTheReader) {
    EXPECT_EQ(extract_fields(R"({"drugs":[{"name":"Amlodipine","dosage":"5 mg"}]})")[0].dose.text, "5 mg");
    EXPECT_EQ(extract_fields("Here is the result:\n{\"name\": \"Amlodipine\"}")[0].name.text, "Amlodipine");
    EXPECT_EQ(extract_fields("Amlodipine [\"Norvasc\"] 5 mg")[0].dose.text, "5 mg");
}

TEST(Extract, AnyBytesAreAccepted) {
    const std::string pieces[] = {"<s_name>", "</s_name>", "<sep/>", "<none/>", "<",       "{",     "}",  "[",
                                  "]",        "\"",        ":",      ",",       "name",    "\\u12", "\\", "5 mg",
                                  "암",       "\xFF",      "\n",     "of ",     "1정 3회", " "};
    std::mt19937 random(5);
    for (int round = 0; round < 20000; ++round) {
        std::string text;
        for (std::size_t k = random() % 20; k > 0; --k) text += pieces[random() % std::size(pieces)];
        for (const auto& all : {extract_fields(text), extract_tagged(text), extract_json(text), extract_lines(text)})
            for (const DrugFields& d : all)
                for (const Field* f : {&d.name, &d.dose, &d.schedule}) {
                    ASSERT_LE(f->begin, f->end) << text;
                    ASSERT_LE(f->end, text.size()) << text;
                }
    }
    EXPECT_NO_THROW(extract_json(std::string(500000, '[')));
    EXPECT_NO_THROW(extract_fields(std::string(500000, '<')));
}

}  // namespace
}  // namespace vlm::drug_validator
