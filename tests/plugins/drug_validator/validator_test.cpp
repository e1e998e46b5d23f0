/** @file validator_test.cpp
 *  From rows to findings, with the sample formulary: statuses, warnings, fields over several rows, and text of other
 * models.
 */
#include "plugins/drug_validator/validator.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

namespace vlm::drug_validator {
namespace {

Formulary sample() {
    return parse_formulary(read_text_file(VLM_TEST_DATA "/drug_validator/formulary.csv"), "formulary.csv");
}

/** A row whose every byte was read with probability @p p. */
Row row(const std::string& text, double p = 0.99, int image = 0) {
    Row r{text, {}, Box{10, 20, 30, 40}, {}, image};
    for (std::size_t i = 0; i < text.size(); i += 3) r.tokens.push_back({i, std::min(i + 3, text.size()), std::log(p)});
    return r;
}

std::string tagged(const std::string& name, const std::string& dose) {
    return "<s_name>" + name + "</s_name><s_dose>" + dose + "</s_dose>";
}

bool has(const DrugFinding& d, std::string_view code) {
    for (const Warning& w : d.warnings)
        if (w.code == code) return true;
    return false;
}

class ValidatorTest : public testing::Test {
  protected:
    Validator validator{sample(), ValidatorOptions{}};

    DrugFinding one(const Row& r) {
        const auto all = validator.validate({r});
        EXPECT_EQ(all.size(), 1u) << r.text;
        return all.empty() ? DrugFinding{} : all[0];
    }
    DrugFinding one(const std::string& text) { return one(row(text)); }
};

TEST_F(ValidatorTest, VerifiedDrugWithSchedule) {
    const DrugFinding d = one(
        "<s_name>와파린정</s_name><s_dose>5㎎</s_dose><s_per>1정</s_per><s_times>3회</s_times><s_days>7일</s_days>");
    EXPECT_EQ(d.printed, "와파린정");
    EXPECT_EQ(d.name, "warfarin");
    EXPECT_EQ(d.dosage, "5 mg");
    EXPECT_EQ(d.printed_dosage, "5㎎");
    EXPECT_EQ(d.status, Status::verified);
    EXPECT_NEAR(d.confidence, 0.99, 1e-9);
    EXPECT_EQ(d.schedule.per_dose->unit, "tablet");
    EXPECT_EQ(d.schedule.times_per_day, 3.0);
    EXPECT_EQ(d.schedule.days, 7);
    EXPECT_EQ(d.form, "정");
    EXPECT_TRUE(d.warnings.empty());
    EXPECT_EQ((*d.box)[2], 30);
}

TEST_F(ValidatorTest, ListedStrengthIsSpelledAsInTheFormulary) {
    EXPECT_EQ(one(tagged("Metformin", "1 g")).dosage, "1000 mg");
    EXPECT_EQ(one(tagged("Metformin", "1 g")).status, Status::verified);
    EXPECT_EQ(one(tagged("Digoxin", "0.125 mg")).dosage, "125 mcg");
    EXPECT_EQ(one(tagged("콜레칼시페롤캡슐", "1,000단위")).dosage, "1000 IU");
}

TEST_F(ValidatorTest, ReviewReasons) {
    const auto expect = [&](const DrugFinding& d, std::string_view code) {
        EXPECT_EQ(d.status, Status::review) << code;
        EXPECT_TRUE(d.name) << code;
        EXPECT_TRUE(has(d, code)) << code;
    };
    expect(one(tagged("Warfarin", "50 mg")), "strength_unlisted");
    expect(one(tagged("Warfarin", "2-5 mg")), "strength_unlisted");
    expect(one("<s_name>Warfarin</s_name>"), "dosage_missing");
    expect(one(tagged("Warfarin", "five")), "dosage_unreadable");
    expect(one(tagged("Prasugrel", "1O mg")), "dosage_repaired");
    expect(one(tagged("Warfarin 5 mg", "2 mg")), "dosage_conflict");
    expect(one(row(tagged("Warfarim", "5 mg"), 0.5)), "inexact_name");
    expect(one(tagged("Warfarin sodium", "5 mg")), "salt_form");
    expect(one(tagged("딜티아젬서방캡슐", "90 mg")), "release_form");
    expect(one(row(tagged("Warfarin", "5 mg"), 0.8)), "low_confidence");
    Row bare = row(tagged("Warfarin", "5 mg"));
    bare.tokens.clear();
    expect(one(bare), "confidence_unknown");
    EXPECT_EQ(one(bare).confidence, 0);
}

TEST_F(ValidatorTest, AConfidentReadingOfADifferentNameIsADifferentName) {
    const DrugFinding sure = one(tagged("Warfarim", "5 mg"));
    EXPECT_EQ(sure.status, Status::unverified);
    EXPECT_FALSE(sure.name);
    EXPECT_TRUE(has(sure, "different_name"));
    EXPECT_EQ(sure.candidates.at(0).name, "warfarin");
    EXPECT_NEAR(*sure.edit_probability, 0.99, 1e-9);
    // Doubt elsewhere in the name explains nothing; doubt at the last letter does.
    Row r{tagged("Warfarim", "5 mg"), {}, {}, {}, 0};
    for (std::size_t i = 0; i < r.text.size(); ++i) r.tokens.push_back({i, i + 1, std::log(0.99)});
    const std::size_t name = r.text.find("Warfarim");
    r.tokens[name].log_probability = std::log(0.2);
    EXPECT_FALSE(one(r).name);
    r.tokens[name].log_probability = std::log(0.99);
    r.tokens[name + 7].log_probability = std::log(0.3);
    EXPECT_EQ(one(r).name, "warfarin");
    EXPECT_EQ(one(r).status, Status::review);
    EXPECT_NEAR(*one(r).edit_probability, 0.3, 1e-9);
    // Nothing is known without probabilities, so nothing is assumed.
    r.tokens.clear();
    EXPECT_FALSE(one(r).name);
}

TEST_F(ValidatorTest, StrengthIsASecondWitnessOfADoubtfulReading) {
    // One letter away and in a strength that warfarin does not have: probably another drug.
    const DrugFinding other = one(row(tagged("Warfarim", "50 mg"), 0.5));
    EXPECT_EQ(other.status, Status::unverified);
    EXPECT_FALSE(other.name);
    EXPECT_TRUE(has(other, "strength_differs"));
    EXPECT_EQ(other.candidates.at(0).name, "warfarin");
    EXPECT_EQ(other.dosage, "50 mg");
    // The exact name, but nothing was read surely: the strength may be misread, so the pair is left open.
    EXPECT_FALSE(one(row(tagged("Warfarin", "50 mg"), 0.8)).name);
    EXPECT_EQ(one(row(tagged("Warfarin", "5 mg"), 0.8)).name, "warfarin");
    // A formulary that lists no strengths refutes none.
    const Validator names_only(parse_formulary("name,name_ko,form,strengths\nwarfarin,,,\n", "names.csv"), {});
    EXPECT_EQ(names_only.validate({row(tagged("Warfarin", "50 mg"), 0.8)}).at(0).name, "warfarin");
}

TEST_F(ValidatorTest, BothLanguagesOfARowAreOneDrug) {
    const auto pair = [&](const std::string& a, const std::string& b, double p) {
        return validator.validate({row(a + "<sep/>" + b, p)});
    };
    const auto agree = pair(tagged("와파린정", "5mg"), tagged("Warfarin", "5 mg"), 0.99);
    ASSERT_EQ(agree.size(), 1u);
    EXPECT_EQ(agree[0].name, "warfarin");
    EXPECT_EQ(agree[0].also_printed, "Warfarin");
    EXPECT_EQ(agree[0].status, Status::verified);
    const auto lacking = pair("<s_name>와파린정</s_name>", tagged("Warfarin", "5 mg"), 0.99);
    ASSERT_EQ(lacking.size(), 1u);
    EXPECT_EQ(lacking[0].dosage, "5 mg");
    const auto garbled = pair(tagged("와파린정", "5mg"), tagged("Warfurim", "5 mg"), 0.6);
    ASSERT_EQ(garbled.size(), 1u);
    EXPECT_EQ(garbled[0].name, "warfarin");
    const auto against = pair(tagged("와파린정", "5mg"), tagged("Warfurim", "5 mg"), 0.99);
    ASSERT_EQ(against.size(), 1u);
    EXPECT_FALSE(against[0].name);
    EXPECT_TRUE(has(against[0], "row_conflict"));
    EXPECT_EQ(pair(tagged("와파린정", "5mg"), tagged("Apixaban", "2.5 mg"), 0.99).size(), 2u);
    EXPECT_EQ(pair(tagged("Warfarin", "5mg"), tagged("Warfarin", "5 mg"), 0.99).size(), 2u) << "one script: two orders";
    const auto unit = pair(tagged("와파린정", "5MG"), tagged("Warfarin", "5MCG"), 0.99);
    ASSERT_EQ(unit.size(), 1u) << "one number, two units: one of them is misread";
    EXPECT_EQ(unit[0].dosage, "5 mg");
    EXPECT_EQ(unit[0].status, Status::review);
    EXPECT_TRUE(has(unit[0], "dosage_conflict"));
    EXPECT_EQ(pair(tagged("와파린정", "5mg"), tagged("Warfarin", "2 mg"), 0.99).size(), 2u)
        << "two numbers: two orders";
}

TEST_F(ValidatorTest, RowsReadTwiceAreOneDrug) {
    Row again = row(tagged("Warfarin", "5 mg"), 0.7);
    again.box = Box{11, 22, 30, 40};
    EXPECT_EQ(validator.validate({row(tagged("Warfarin", "5 mg")), again}).size(), 1u);
    again.box = Box{10, 60, 30, 80};
    EXPECT_EQ(validator.validate({row(tagged("Warfarin", "5 mg")), again}).size(), 2u);
}

TEST_F(ValidatorTest, LetterheadsAreNoDrugs) {
    EXPECT_TRUE(validator.validate({row("<s_name>성모신경과의원 Tel. 051-467-7773</s_name>")}).empty());
    EXPECT_TRUE(validator.validate({row("<none/>"), row("warfarin 5 mg")}).empty()) << "no prose beside tags";
    EXPECT_EQ(validator.validate({row("<s_name>베타미가정</s_name>")}).size(), 1u);
}

TEST_F(ValidatorTest, LookAlikesAreToldAndCountWhenAsked) {
    const DrugFinding d = one(tagged("Omeprazole", "20 mg"));
    EXPECT_TRUE(has(d, "look_alike"));
    EXPECT_EQ(d.status, Status::verified);
    ValidatorOptions options;
    options.review_look_alikes = true;
    EXPECT_EQ(Validator(sample(), options).validate({row(tagged("Omeprazole", "20 mg"))})[0].status, Status::review);
}

TEST_F(ValidatorTest, UnlistedDrugsComeBackAsReadOnly) {
    for (const auto& [name, dose] : {std::pair("Levocarnitine", "330 mg"), std::pair("노르트립틸린정", "25mg"),
                                     std::pair("Cimetidine", "200 mg"), std::pair("피마사르탄정", "60 mg"),
                                     std::pair("제미글립틴정", "50 mg"), std::pair("카나글리플로진정", "10 mg")}) {
        const DrugFinding d = one(tagged(name, dose));
        EXPECT_EQ(d.status, Status::unverified) << name;
        EXPECT_FALSE(d.name) << name;
        EXPECT_EQ(d.printed, name);
        EXPECT_TRUE(d.dosage) << name;
        EXPECT_TRUE(has(d, "unlisted")) << name;
    }
    EXPECT_TRUE(has(one(tagged("someprazole", "20 mg")), "ambiguous"));
    EXPECT_TRUE(has(one(tagged("amlodipine/valsartan", "5/160 mg")), "combination"));
    // A listed strength and full confidence do not rescue a far name.
    EXPECT_FALSE(one(row(tagged("felodipine", "5 mg"), 1.0)).name);
}

TEST_F(ValidatorTest, FieldsContinueInTheRowsBelow) {
    Row below = row("<s_dose>5 mg</s_dose><s_times>2회</s_times>", 0.6);
    below.box = Box{5, 50, 20, 60};
    const auto all =
        validator.validate({row("<s_name>Warfarin</s_name>"), row("<none/>"), below, row(tagged("Apixaban", "5 mg"))});
    ASSERT_EQ(all.size(), 2u);
    EXPECT_EQ(all[0].dosage, "5 mg");
    EXPECT_EQ(all[0].schedule.times_per_day, 2.0);
    EXPECT_NEAR(all[0].confidence, 0.6, 1e-9);
    EXPECT_EQ((*all[0].box)[0], 5);
    EXPECT_EQ((*all[0].box)[3], 60);
    EXPECT_EQ(all[1].name, "apixaban");
    // Not across images, and not without a drug above.
    EXPECT_FALSE(
        validator.validate({row("<s_name>Warfarin</s_name>", 0.99, 0), row("<s_dose>5 mg</s_dose>", 0.99, 1)})[0]
            .dosage);
    EXPECT_TRUE(validator.validate({row("<s_dose>5 mg</s_dose>")}).empty());
}

TEST_F(ValidatorTest, SeveralDrugsInARowHaveTheirOwnConfidence) {
    Row r{tagged("Warfarin", "5 mg") + "<sep/>" + tagged("Apixaban", "5 mg"), {}, {}, {}, 0};
    const std::size_t half = r.text.find("<sep/>");
    r.tokens = {{0, half, std::log(0.95)}, {half, r.text.size(), std::log(0.3)}};
    const auto all = validator.validate({r});
    ASSERT_EQ(all.size(), 2u);
    EXPECT_NEAR(all[0].confidence, 0.95, 1e-9);
    EXPECT_NEAR(all[1].confidence, 0.3, 1e-9);
}

TEST_F(ValidatorTest, ConfidenceHeadAndCalibration) {
    Row r = row(tagged("Warfarin", "5 mg"));
    r.model_confidence = 0.4;
    EXPECT_NEAR(one(r).confidence, 0.4, 1e-9);
    r.tokens.clear();
    EXPECT_NEAR(one(r).confidence, 0.4, 1e-9);
    EXPECT_FALSE(has(one(r), "confidence_unknown"));
    ValidatorOptions options;
    options.confidence = {2, 0};
    options.confidence_threshold = 0.7;
    const auto d = Validator(sample(), options).validate({row(tagged("Warfarin", "5 mg"), 0.9)})[0];
    EXPECT_NEAR(d.confidence, 0.75, 1e-9);
    EXPECT_EQ(d.status, Status::verified);
}

TEST_F(ValidatorTest, ReadsAnswersOfOtherModels) {
    const auto prose = validator.validate(
        {row("The patient is given Amlodipine 5 mg tab twice daily and metformin 500 mg once daily for 30 days.")});
    ASSERT_EQ(prose.size(), 2u);
    EXPECT_EQ(prose[0].name, "amlodipine");
    EXPECT_EQ(prose[0].schedule.times_per_day, 2.0);
    EXPECT_EQ(prose[1].name, "metformin");
    EXPECT_EQ(prose[1].schedule.days, 30);
    const auto list =
        validator.validate({row("1. Metronidazole 250mg tab\n   Sig: 1 tab once daily x 60 days\n2. Pantoprazole 40mg "
                                "tab\n   Sig: 1 tab twice daily x 5 days\nSignature: ____ MD")});
    ASSERT_EQ(list.size(), 2u);
    EXPECT_EQ(list[0].name, "metronidazole");
    EXPECT_EQ(list[0].schedule.days, 60);
    EXPECT_EQ(list[1].name, "pantoprazole");
    EXPECT_EQ(list[1].schedule.times_per_day, 2.0);
    const auto json = validator.validate({row(
        R"({"drugs": [{"name": "암로디핀정", "dosage": "5mg", "frequency": "1일 3회"}, {"name": "Cimetidine", "dosage": "200 mg"}]})")});
    ASSERT_EQ(json.size(), 2u);
    EXPECT_EQ(json[0].name, "amlodipine");
    EXPECT_EQ(json[0].schedule.times_per_day, 3.0);
    EXPECT_EQ(json[1].status, Status::unverified);
    const auto missing = validator.validate({row("Patient: D. Wilson\nwarfarin, twice daily")});
    ASSERT_EQ(missing.size(), 1u);
    EXPECT_TRUE(has(missing[0], "dosage_missing"));
    EXPECT_EQ(missing[0].schedule.times_per_day, 2.0);
}

TEST_F(ValidatorTest, OptionsOutOfRangeAreErrors) {
    ValidatorOptions bad;
    bad.confidence_threshold = 1.5;
    EXPECT_THROW(Validator(sample(), bad), ConfigError);
    bad = {};
    bad.confidence.temperature = 0;
    EXPECT_THROW(Validator(sample(), bad), ConfigError);
}

TEST_F(ValidatorTest, RandomTextNeverFailsAndNeverInventsADrug) {
    std::mt19937 random(9);
    for (int round = 0; round < 300; ++round) {
        std::string text = round % 2 ? "<s_name>" : "";
        for (std::size_t k = random() % 60; k > 0; --k) text.push_back(static_cast<char>(random() % 256));
        for (const DrugFinding& d : validator.validate({row(text)})) {
            EXPECT_FALSE(d.name) << text;
            EXPECT_TRUE(d.confidence >= 0 && d.confidence <= 1);
        }
    }
}

}  // namespace
}  // namespace vlm::drug_validator
