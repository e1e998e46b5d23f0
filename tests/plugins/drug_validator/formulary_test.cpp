/** @file formulary_test.cpp
 *  The formulary is edited in spreadsheets, so the reader meets quotes, byte order marks and mistakes; every mistake
 * must name its line.
 */
#include "plugins/drug_validator/formulary.hpp"

#include <gtest/gtest.h>

#include <cstdio>
#include <fstream>

namespace vlm::drug_validator {
namespace {

template <typename Call>
std::string error_of(Call call) {
    try {
        call();
    } catch (const ConfigError& e) {
        return e.what();
    }
    return "no error";
}

std::string formulary_error(const std::string& text) {
    return error_of([&] { parse_formulary(text, "drugs.csv"); });
}

TEST(Csv, ReadsQuotesLineEndsAndMark) {
    const auto r = parse_csv(
        "\xEF\xBB\xBF"
        "a,b\r\n\"x, \"\"y\"\"\",\"two\nlines\"\r\n\r\nc,\rd,e",
        "t");
    ASSERT_EQ(r.size(), 4u);
    EXPECT_EQ(r[0].fields, (std::vector<std::string>{"a", "b"}));
    EXPECT_EQ(r[1].fields, (std::vector<std::string>{"x, \"y\"", "two\nlines"}));
    EXPECT_EQ(r[1].line, 2u);
    EXPECT_EQ(r[2].fields, (std::vector<std::string>{"c", ""}));
    EXPECT_EQ(r[2].line, 5u);
    EXPECT_EQ(r[3].fields, (std::vector<std::string>{"d", "e"}));
}

TEST(Csv, RefusesBrokenQuotesAndText) {
    EXPECT_NE(error_of([] { parse_csv("a\n\"open", "t"); }).find("t:2: a quoted field is never closed"),
              std::string::npos);
    EXPECT_NE(error_of([] { parse_csv("a\n\"b\"c", "t"); }).find("t:2: found 'c'"), std::string::npos);
    EXPECT_NE(error_of([] { parse_csv("a\nb\nc\"d", "t"); }).find("t:3:"), std::string::npos);
    EXPECT_NE(error_of([] { parse_csv("a\nb\xFF", "t"); }).find("t:2: malformed UTF-8"), std::string::npos);
}

TEST(Formulary, ReadsColumnsInAnyOrderWithAliases) {
    const Formulary f = parse_formulary(
        "strengths,form,Name,name_ko,price,aliases\n"
        "2.5 mg | 5 mg,정,amlodipine,암로디핀,100,Norvasc|노바스크\n"
        "\"100 mg/5 ml\",시럽,Amlodipine,암로디핀,3,\n"
        ",정,nothing,,,\n",
        "drugs.csv");
    ASSERT_EQ(f.drugs.size(), 2u);
    EXPECT_EQ(f.drugs[0].name, "amlodipine");
    EXPECT_EQ(f.drugs[0].names_ko, (std::vector<std::string>{"암로디핀"}));
    EXPECT_EQ(f.drugs[0].forms, (std::vector<std::string>{"정", "시럽"}));
    EXPECT_EQ(f.drugs[0].aliases, (std::vector<std::string>{"Norvasc", "노바스크"}));
    ASSERT_EQ(f.drugs[0].strengths.size(), 3u);
    EXPECT_EQ(f.drugs[0].strengths[0].text, "2.5 mg");
    EXPECT_EQ(f.drugs[0].strengths[2].dosage.normalized(), "100 mg/5 ml");
    EXPECT_TRUE(f.drugs[1].strengths.empty());
}

TEST(Formulary, NamesTheLineOfEveryMistake) {
    const std::string header = "name,name_ko,form,strengths\n";
    EXPECT_NE(formulary_error("").find("the file is empty"), std::string::npos);
    EXPECT_NE(formulary_error(header).find("no drugs"), std::string::npos);
    EXPECT_NE(
        formulary_error("name,form,strengths\na,b,1 mg\n").find("drugs.csv:1: the header has no column \"name_ko\""),
        std::string::npos);
    EXPECT_NE(formulary_error("name,name,form,strengths\n").find("there twice"), std::string::npos);
    EXPECT_NE(formulary_error(header + "a,b,c\n").find("drugs.csv:2: found 3 fields, expected 4"), std::string::npos);
    EXPECT_NE(
        formulary_error(header + "aa,b,c,5 mg\n --,b,c,5 mg\n").find("drugs.csv:3: column \"name\" holds no letters"),
        std::string::npos);
    EXPECT_NE(formulary_error(header + "aa,b,c,5 mg|five\n").find("\"five\" is no strength"), std::string::npos);
    EXPECT_NE(formulary_error(header + "aa,b,c,5 mg\nAA,b,c,10 mg\n").find("already on line 2"), std::string::npos);
    EXPECT_NE(formulary_error(header + std::string(600, 'a') + ",b,c,5 mg\n").find("600 bytes"), std::string::npos);
}

TEST(Formulary, OtherNamesNeedBothColumns) {
    EXPECT_EQ(parse_other_names("name,name_ko\ncimetidine,시메티딘\n", "o").size(), 1u);
    EXPECT_NE(error_of([] { parse_other_names("name\nx\n", "o"); }).find("name_ko"), std::string::npos);
}

TEST(Formulary, FilesThatCannotBeReadAreErrors) {
    EXPECT_NE(error_of([] { read_text_file("/nonexistent/drugs.csv"); }).find("/nonexistent/drugs.csv: cannot be read"),
              std::string::npos);
    EXPECT_NE(error_of([] { read_text_file("/"); }), "no error");
    const std::string path = testing::TempDir() + "drug_validator_formulary_test.csv";
    std::ofstream(path, std::ios::binary) << "a\r\nb";
    EXPECT_EQ(read_text_file(path), "a\r\nb");
    std::remove(path.c_str());
}

TEST(Formulary, ReadsTheSample) {
    const Formulary f = parse_formulary(read_text_file(VLM_TEST_DATA "/drug_validator/formulary.csv"), "formulary.csv");
    EXPECT_EQ(f.drugs.size(), 191u);
    for (const Drug& d : f.drugs)
        for (const Strength& s : d.strengths) EXPECT_EQ(s.dosage.normalized(), s.text) << d.name;
}

}  // namespace
}  // namespace vlm::drug_validator
