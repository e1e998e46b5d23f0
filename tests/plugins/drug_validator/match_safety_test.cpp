/** @file match_safety_test.cpp
 *  The measure behind the default limits: 543 real drug names outside the sample formulary, in two languages, read
 * without error and with one or two random slips. None may become a listed drug when it is read as printed; with slips
 * the rate is bounded and recorded.
 */
#include <gtest/gtest.h>

#include <random>

#include "plugins/drug_validator/match.hpp"
#include "plugins/drug_validator/text.hpp"

namespace vlm::drug_validator {
namespace {

constexpr int kRepeats = 2;

/** A random slip: a letter replaced, lost, doubled or swapped; in Hangul one jamo of a syllable changes, or a syllable
 * is lost. */
std::u32string slip(std::u32string name, std::mt19937& engine) {
    const auto random = [&] { return static_cast<char32_t>(engine()); };
    if (name.size() < 2) return name;
    const std::size_t at = random() % name.size();
    char32_t& c = name[at];
    if (c >= 0xAC00 && c <= 0xD7A3) {
        const char32_t index = c - 0xAC00;
        char32_t lead = index / 588, vowel = index / 28 % 21, tail = index % 28;
        switch (random() % 8) {
            case 0:
                name.erase(at, 1);
                return name;
            case 1:
            case 2:
            case 3:
                lead = (lead + 1 + random() % 18) % 19;
                break;
            case 4:
            case 5:
            case 6:
                vowel = (vowel + 1 + random() % 20) % 21;
                break;
            default:
                tail = (tail + 1 + random() % 27) % 28;
        }
        c = 0xAC00 + lead * 588 + vowel * 28 + tail;
        return name;
    }
    switch (random() % 4) {
        case 0:
            name.erase(at, 1);
            break;
        case 1:
            name.insert(at, 1, c);
            break;
        case 2:
            if (at + 1 < name.size()) {
                std::swap(name[at], name[at + 1]);
                break;
            }
            [[fallthrough]];
        default:
            c = U'a' + random() % 26;
    }
    return name;
}

class MatchSafety : public testing::Test {
  protected:
    Formulary formulary =
        parse_formulary(read_text_file(VLM_TEST_DATA "/drug_validator/formulary.csv"), "formulary.csv");
    std::vector<OtherName> others = parse_other_names(
        read_text_file(VLM_SOURCE_DIR "/plugins/drug_validator/data/other_names.csv"), "other_names.csv");

    /** Share of names for which @p wrong says so. */
    template <typename Names, typename Judge>
    double rate(const Names& names, int slips, Judge wrong) {
        std::mt19937 random(static_cast<unsigned>(11 + slips));
        std::size_t bad = 0, total = 0;
        for (const auto& [name, drug] : names)
            for (int k = 0; k < (slips ? kRepeats : 1); ++k) {
                std::u32string read = decode_utf8(name);
                for (int s = 0; s < slips; ++s) read = slip(std::move(read), random);
                const bool korean = is_hangul(decode_utf8(name).front());
                bad += wrong(encode_utf8(read) + (korean ? "정" : " tab"), drug);
                ++total;
            }
        return static_cast<double>(bad) / static_cast<double>(total);
    }

    std::vector<std::pair<std::string, std::size_t>> unlisted() const {
        std::vector<std::pair<std::string, std::size_t>> out;
        for (const OtherName& o : others) {
            out.emplace_back(o.name, 0);
            out.emplace_back(o.name_ko, 0);
        }
        return out;
    }
    std::vector<std::pair<std::string, std::size_t>> listed() const {
        std::vector<std::pair<std::string, std::size_t>> out;
        for (std::size_t i = 0; i < formulary.drugs.size(); ++i) {
            out.emplace_back(formulary.drugs[i].name, i);
            out.emplace_back(formulary.drugs[i].names_ko[0], i);
        }
        return out;
    }
};

TEST_F(MatchSafety, UnlistedNamesAreNeverAcceptedWithoutKnowingThem) {
    ASSERT_GE(others.size(), 300u);
    const Matcher matcher(formulary, MatchOptions{});
    for (const auto& [name, ignored] : unlisted())
        for (const char* form : {"", " 5 mg", "정", "캡슐", " tab", " XR"}) {
            const MatchResult r = matcher.match(name + form);
            EXPECT_FALSE(r.drug) << name << form << " became " << formulary.drugs[r.drug.value_or(0)].name;
        }
}

TEST_F(MatchSafety, EveryListedNameIsFoundExactly) {
    const Matcher matcher(formulary, MatchOptions{}, others);
    for (const auto& [name, drug] : listed())
        for (const char* form : {"", " 5 mg", "정", "캡슐", " tab"}) {
            const MatchResult r = matcher.match(name + form);
            EXPECT_EQ(r.kind, MatchKind::exact) << name << form;
            EXPECT_EQ(r.drug, drug) << name << form;
        }
}

TEST_F(MatchSafety, RatesWithRandomSlips) {
    const Matcher plain(formulary, MatchOptions{});
    const Matcher informed(formulary, MatchOptions{}, others);
    for (const Matcher* matcher : {&plain, &informed})
        for (int slips = 0; slips <= 2; ++slips) {
            const double accepted = rate(unlisted(), slips, [&](const std::string& read, std::size_t) {
                return matcher->match(read).drug.has_value();
            });
            std::size_t wrong = 0;
            const double missed = rate(listed(), slips, [&](const std::string& read, std::size_t drug) {
                const auto got = matcher->match(read).drug;
                wrong += got && got != drug;
                return got != drug;
            });
            const double found = 1 - missed;
            const std::string key =
                std::string(matcher == &plain ? "formulary" : "with_other_names") + "_slips_" + std::to_string(slips);
            RecordProperty(key + "_false_accept", std::to_string(accepted));
            RecordProperty(key + "_true_accept", std::to_string(found));
            std::printf("%-28s unlisted accepted %.5f  listed found %.4f  listed as another %zu\n", key.c_str(),
                        accepted, found, wrong);
            EXPECT_LE(accepted, slips == 0 ? 0.0 : matcher == &informed ? 0.0005 : 0.002) << key;
            EXPECT_EQ(wrong, 0u) << key;
            EXPECT_GE(found, slips == 0 ? 1.0 : slips == 1 ? 0.75 : 0.0) << key;
        }
}

}  // namespace
}  // namespace vlm::drug_validator
