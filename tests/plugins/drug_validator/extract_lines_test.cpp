/** @file extract_lines_test.cpp
 *  Free answers: lists, tables, prose. The rule under test above all: a name is never shortened to a part of what is
 * printed.
 */
#include <gtest/gtest.h>

#include "plugins/drug_validator/extract.hpp"

namespace vlm::drug_validator {
namespace {

std::string names(std::string_view text) {
    std::string out;
    for (const DrugFields& d : extract_lines(text)) {
        if (d.tentative) continue;
        out += (out.empty() ? "" : "; ") + d.name.text + "=" + d.dose.text;
    }
    return out;
}

TEST(ExtractLines, ListsTablesAndProse) {
    EXPECT_EQ(names("- Amlodipine 5 mg tab twice daily"), "Amlodipine=5 mg");
    EXPECT_EQ(names("1. **Amlodipine**: 5 mg\n2. **Metformin** 500mg"), "Amlodipine=5 mg; Metformin=500mg");
    EXPECT_EQ(names("| Amlodipine | 5 mg | 1 tab | 3 |"), "Amlodipine=5 mg");
    EXPECT_EQ(names("The prescription contains Amlodipine 5 mg and Metformin 500 mg."),
              "Amlodipine=5 mg; Metformin=500 mg");
    EXPECT_EQ(names("Take 5 mg of amlodipine daily"), "amlodipine=5 mg");
    EXPECT_EQ(names("Drug name: Amlodipine, dosage: 5 mg"), "=5 mg");
    EXPECT_EQ(names("암로디핀정 5mg 1회 1정 1일 3회 7일분"), "암로디핀정=5mg");
    EXPECT_EQ(names("처방: 암로디핀정(5mg), 메트포르민정 500mg"), "암로디핀정=5mg; 메트포르민정=500mg");
}

TEST(ExtractLines, NamesStayWhole) {
    EXPECT_EQ(names("levo cetirizine 5 mg"), "levo cetirizine=5 mg");
    EXPECT_EQ(names("ursodeoxycholic acid 200 mg"), "ursodeoxycholic acid=200 mg");
    EXPECT_EQ(names("amlodipine/valsartan 5/160 mg"), "amlodipine/valsartan=5/160 mg");
}

TEST(ExtractLines, SchedulesFollowTheirDrug) {
    const auto d = extract_lines("Amlodipine 5 mg tab\nSig: 1 tab twice daily x 7 days");
    ASSERT_EQ(d.size(), 2u);
    EXPECT_TRUE(d[1].name.empty());
    EXPECT_EQ(d[1].schedule.text, "Sig: 1 tab twice daily x 7 days");
    const auto two = extract_lines("Amlodipine 5 mg tid, Metformin 500 mg bid");
    ASSERT_EQ(two.size(), 2u);
    EXPECT_EQ(two[0].schedule.text, "tid,");
    EXPECT_EQ(two[1].schedule.text, "bid");
}

TEST(ExtractLines, WordsWithoutAStrengthAreTentative) {
    const auto d = extract_lines("Patient: D. Wilson\namlodipine twice daily");
    std::size_t tentative = 0;
    for (const DrugFields& f : d) tentative += f.tentative;
    EXPECT_EQ(tentative, d.size());
    EXPECT_EQ(d.back().name.text, "amlodipine");
}

}  // namespace
}  // namespace vlm::drug_validator
