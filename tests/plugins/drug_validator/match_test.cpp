/** @file match_test.cpp
 *  The matching rule on names written for it; how often it errs on hundreds of real names is measured in
 * match_safety_test.cpp.
 */
#include "plugins/drug_validator/match.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace vlm::drug_validator {
namespace {

Formulary small() {
    return parse_formulary(
        "name,name_ko,form,strengths,aliases\n"
        "amlodipine,암로디핀,정,5 mg,Norvasc|노바스크\n"
        "cetirizine,세티리진,정,10 mg,\n"
        "levocetirizine,레보세티리진,정,5 mg,\n"
        "omeprazole,오메프라졸,캡슐,20 mg,\n"
        "esomeprazole,에스오메프라졸,정,20 mg,\n"
        "folic acid,폴산,정,1 mg,엽산\n"
        "losartan,로사르탄,정,50 mg,\n"
        "vitamin b1,비타민B1,정,10 mg,\n"
        "valsartan,발사르탄,정,80 mg,\n"
        "nifedipine,니페디핀,서방정,30 mg,\n",
        "small.csv");
}

class Match : public testing::Test {
  protected:
    Matcher matcher{small(), MatchOptions{}};

    std::string name(std::string_view printed) {
        const MatchResult r = matcher.match(printed);
        EXPECT_EQ(r.drug.has_value(), r.kind == MatchKind::exact || r.kind == MatchKind::near);
        return r.drug ? matcher.formulary().drugs[*r.drug].name : "none";
    }
};

TEST_F(Match, FormsCaseMarksAndStrengthsDoNotMatter) {
    for (const char* printed : {"amlodipine",
                                "AMLODIPINE",
                                "Amlodipine tab",
                                "Amlodipine Tab.",
                                "Tab. Amlodipine",
                                "Amlodipine 5 mg tab",
                                "암로디핀",
                                "암로디핀정",
                                "암로디핀 정",
                                "암로디핀정5㎎",
                                "암로디핀정(5mg)",
                                "1. 암로디핀정",
                                "① Amlodipine",
                                "- Amlodipine",
                                "Ａｍｌｏｄｉｐｉｎｅ",
                                "[급여] 암로디핀정",
                                "암로디핀정 tab",
                                "Amlodipine tab #30",
                                "Norvasc tab",
                                "노바스크정",
                                "암로디핀정(Amlodipine)",
                                "Amlodipine (암로디핀)",
                                "am-lodipine",
                                "\u110B\u1161\u11B7로디핀정"})
        EXPECT_EQ(name(printed), "amlodipine") << printed;
    EXPECT_EQ(matcher.match("Amlodipine").kind, MatchKind::exact);
    EXPECT_EQ(name("폴산정"), "folic acid");
    EXPECT_EQ(name("엽산"), "folic acid");
    EXPECT_EQ(name("오메프라졸캡슐"), "omeprazole");
}

TEST_F(Match, OneSlipIsNearAndSaysSo) {
    for (const char* printed : {"Amlodipin", "Amlodipline", "Am1odipine", "Amldoipine", "암로티핀정"}) {
        EXPECT_EQ(name(printed), "amlodipine") << printed;
        EXPECT_EQ(matcher.match(printed).kind, MatchKind::near) << printed;
        EXPECT_EQ(matcher.match(printed).candidates[0].edits, 1u) << printed;
    }
}

TEST_F(Match, FartherNamesAreNone) {
    for (const char* printed :
         {"felodipine", "펠로디핀정", "levocarnitine", "레보카르니틴정", "folinic acid", "폴린산정", "valsarpan x",
          "losaptin", "", "정", "tab", "5 mg", "----", "vitamin b", "losart", "amlo"})
        EXPECT_EQ(name(printed), "none") << printed;
    EXPECT_EQ(matcher.match("felodipine").candidates[0].name, "amlodipine");
    EXPECT_EQ(matcher.match("felodipine").kind, MatchKind::none);
    EXPECT_TRUE(matcher.match("xylophone quartz").candidates.empty());
}

TEST_F(Match, ASecondDrugNearlyAsCloseMakesItAmbiguous) {
    const MatchResult r = matcher.match("someprazole");  // one edit from both
    EXPECT_EQ(r.kind, MatchKind::ambiguous);
    EXPECT_FALSE(r.drug);
    ASSERT_GE(r.candidates.size(), 2u);
    EXPECT_EQ(name("omeprazole"), "omeprazole");
    EXPECT_EQ(name("esomeprazole"), "esomeprazole");
    EXPECT_EQ(name("levocetirizine"), "levocetirizine");
    EXPECT_EQ(name("levo cetirizine"), "levocetirizine");
}

TEST_F(Match, OneCharacterWordsMustBeEqual) {
    EXPECT_EQ(name("vitamin b1"), "vitamin b1");
    EXPECT_EQ(name("vitamin b6"), "none");
    EXPECT_EQ(name("vitamin c1"), "none");
    EXPECT_EQ(name("비타민B2"), "none");
}

TEST_F(Match, CombinationsAreNeverOneOfTheirParts) {
    for (const char* printed : {"amlodipine/valsartan", "Amlodipine + Losartan", "암로디핀/발사르탄정",
                                "amlodipine (valsartan)", "amlodipine/xyz", "Zetia(amlodipine)"})
        EXPECT_EQ(name(printed), "none") << printed;
    EXPECT_TRUE(matcher.match("amlodipine/valsartan").printed.combination);
    EXPECT_GE(matcher.match("amlodipine/valsartan").candidates.size(), 2u);
    Formulary f = parse_formulary(
        "name,name_ko,form,strengths\namlodipine/valsartan,암로디핀발사르탄,정,5/160 mg\namlodipine,암로디핀,정,5 mg\n",
        "f");
    const Matcher both(std::move(f), MatchOptions{});
    EXPECT_EQ(*both.match("Amlodipine / Valsartan").drug, 0u);
    EXPECT_EQ(*both.match("amlodipine").drug, 1u);
}

TEST_F(Match, SaltsAndReleaseAreTold) {
    const MatchResult besylate = matcher.match("Amlodipine besylate tab");
    EXPECT_EQ(*besylate.drug, 0u);
    EXPECT_EQ(besylate.salt, "besylate");
    EXPECT_EQ(matcher.match("로사르탄칼륨정").salt, "칼륨");
    EXPECT_EQ(matcher.match("Nifedipine XR tab").printed.release, "xr");
    EXPECT_EQ(matcher.match("니페디핀서방정").printed.release, "서방");
    EXPECT_EQ(matcher.match("암로디핀정").salt, "");
    EXPECT_EQ(matcher.match("암로디핀정").printed.form, "정");
    EXPECT_EQ(matcher.match("valsartan").printed.form, "");
}

TEST_F(Match, KnownOtherNamesWinOverASlip) {
    const std::vector<OtherName> others{{"levamlodipine", "레밤로디핀"}, {"amlodipina", "암로디피나"}, {"Norvasc", ""}};
    const Matcher careful(small(), MatchOptions{}, others);
    const MatchResult r = careful.match("amlodipina");
    EXPECT_FALSE(r.drug);
    EXPECT_EQ(r.other_name, "amlodipina");
    EXPECT_FALSE(careful.match("amlodipinx").drug);  // as near to the other name
    EXPECT_TRUE(careful.match("amlodipine").drug);
    EXPECT_TRUE(careful.match("norvasc").drug);  // the formulary's own alias
    EXPECT_TRUE(matcher.match("amlodipina").drug);
}

TEST_F(Match, OptionsMoveTheLimits) {
    MatchOptions strict;
    strict.max_distance = 0;
    EXPECT_FALSE(Matcher(small(), strict).match("Amlodipin").drug);
    EXPECT_TRUE(Matcher(small(), strict).match("Amlodipine").drug);
    MatchOptions loose;
    loose.max_distance = 0.3;
    loose.max_edits = 3;
    EXPECT_TRUE(Matcher(small(), loose).match("Amlodxxine").drug);
    loose.min_margin = 0.9;
    EXPECT_FALSE(Matcher(small(), loose).match("Amlodxxine").drug);
    MatchOptions few;
    few.max_candidates = 0;
    EXPECT_TRUE(Matcher(small(), few).match("Amlodipine").candidates.empty());
}

TEST_F(Match, TheSameNameOfTwoDrugsIsAmbiguous) {
    Formulary f =
        parse_formulary("name,name_ko,form,strengths\nalpha one,같은이름,정,1 mg\nbeta two,같은이름,정,1 mg\n", "f");
    const Matcher m(std::move(f), MatchOptions{});
    EXPECT_EQ(m.match("같은이름").kind, MatchKind::ambiguous);
    EXPECT_EQ(m.match("alpha one").kind, MatchKind::exact);
}

TEST_F(Match, LookAlikes) {
    const auto alike = matcher.look_alikes(3);
    ASSERT_EQ(alike.size(), 1u);
    EXPECT_EQ(alike[0].name, "esomeprazole");
    EXPECT_TRUE(matcher.look_alikes(0).empty());
}

TEST_F(Match, BadOptionsAndLongText) {
    MatchOptions bad;
    bad.max_distance = 0.9;
    EXPECT_THROW(Matcher(small(), bad), ConfigError);
    bad = {};
    bad.max_edits = -1;
    EXPECT_THROW(Matcher(small(), bad), ConfigError);
    bad = {};
    bad.min_margin = std::numeric_limits<double>::quiet_NaN();
    EXPECT_THROW(Matcher(small(), bad), ConfigError);
    EXPECT_EQ(name(std::string(1000000, 'a')), "none");
    EXPECT_EQ(name(std::string(1000, '(')), "none");
    EXPECT_EQ(name("\xFF\xFE\x80"), "none");
}

}  // namespace
}  // namespace vlm::drug_validator
