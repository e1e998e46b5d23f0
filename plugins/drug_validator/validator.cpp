/** @file validator.cpp
 *  Two passes: rows are first gathered into drafts (one for each drug, with the fields of the rows below it), then each
 * draft is judged alone. Gathering comes first because a strength may stand in the row below its name.
 */
#include "validator.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <string>
#include <utility>

#include "dosage.hpp"
#include "draft.hpp"
#include "evidence.hpp"
#include "text.hpp"

namespace vlm::drug_validator {
namespace {

std::string format_confidence(double value, double threshold) {
    char text[48];
    std::snprintf(text, sizeof text, "%.2f < %.2f", value, threshold);
    return text;
}

/** Schedule of a drug's own fields. A field may hold more than its own part ("1회 1정 1일 3회"). */
Schedule schedule_of(const DrugFields& f) {
    Schedule out;
    if (!f.per.empty()) out.per_dose = parse_per_dose(f.per.text);
    if (!f.times.empty()) out.times_per_day = parse_times_per_day(f.times.text);
    if (!f.days.empty()) out.days = parse_days(f.days.text);
    for (const Field* field : {&f.per, &f.times, &f.days, &f.schedule})
        if (!field->empty()) fill_missing(out, parse_schedule(field->text));
    return out;
}

std::string join_names(const std::vector<Candidate>& list) {
    std::string out;
    for (const Candidate& c : list) out += (out.empty() ? "" : ", ") + c.name;
    return out;
}

/** Whether a line of the letterhead was tagged as a name: it has neither strength nor schedule, no drug is near, and it
 * looks like an address, a number or a heading. */
bool is_heading(const Draft& d) {
    if (d.match.drug || d.nearly || !d.match.candidates.empty()) return false;
    if (!d.found.printed_dosage.empty() || !d.found.schedule.empty()) return false;
    constexpr std::array<std::string_view, 22> kWords{
        "의원", "병원", "약국", "의사", "약사", "환자", "처방",   "전화",   "주소",     "보험",     "면허",
        "번호", "교부", "조제", "tel.", "fax.", "dr.",  "clinic", "doctor", "hospital", "pharmacy", "@"};
    const std::string text = fold_to_utf8(d.found.printed);
    const auto digits = std::count_if(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
    return digits > 3 || match_key(text).size() < 4 || text.find(':') != std::string::npos ||
           std::any_of(kWords.begin(), kWords.end(),
                       [&](std::string_view word) { return text.find(word) != std::string::npos; });
}

const Strength* find_strength(const Drug& drug, const Dosage& dosage) {
    const auto found = std::find_if(drug.strengths.begin(), drug.strengths.end(),
                                    [&](const Strength& s) { return same_strength(s.dosage, dosage); });
    return found != drug.strengths.end() ? &*found : nullptr;
}

std::string join_strengths(const Drug& drug) {
    std::string out;
    for (const Strength& s : drug.strengths) out += (out.empty() ? "" : ", ") + s.text;
    return out;
}

bool contains_any(const std::vector<std::string>& texts, const std::string& word) {
    return std::any_of(texts.begin(), texts.end(),
                       [&](const std::string& t) { return fold_to_utf8(t).find(word) != std::string::npos; });
}

}  // namespace

std::string_view status_name(Status status) {
    return status == Status::verified ? "verified" : status == Status::review ? "review" : "unverified";
}

Validator::Validator(Formulary formulary, const ValidatorOptions& options, const std::vector<OtherName>& others)
    : options_(options), matcher_(std::move(formulary), options.match, others) {
    const auto fail = [](const std::string& name, double value, const std::string& expected) {
        throw ConfigError("option " + name + ": found " + std::to_string(value) + ", expected " + expected);
    };
    if (!(options.confidence_threshold >= 0 && options.confidence_threshold <= 1))
        fail("confidence_threshold", options.confidence_threshold, "0 to 1");
    if (!(options.confidence.temperature >= 0.01 && options.confidence.temperature <= 100))
        fail("temperature", options.confidence.temperature, "0.01 to 100");
    if (!(options.certain_probability >= 0 && options.certain_probability <= 1))
        fail("certain_probability", options.certain_probability, "0 to 1");
    if (!(std::abs(options.confidence.bias) <= 100)) fail("bias", options.confidence.bias, "-100 to 100");
}

std::vector<DrugFinding> Validator::validate(const std::vector<Row>& rows) const {
    // A model that tags one row tags all; its other answers must not be taken for prose.
    const bool tagged = std::any_of(rows.begin(), rows.end(), [](const Row& row) { return is_tagged(row.text); });
    std::vector<Draft> drafts;
    for (std::size_t index = 0; index < rows.size(); ++index) {
        const Row& row = rows[index];
        for (const DrugFields& fields : tagged ? extract_tagged(row.text) : extract_fields(row.text)) {
            const bool has_name = !match_key(fields.name.text).empty();
            MatchResult match = has_name ? matcher_.match(fields.name.text) : MatchResult{};
            // Plain words of prose are a drug only when they are exactly one.
            const bool starts_drug = has_name && (!fields.tentative || match.kind == MatchKind::exact);
            const bool continues = !drafts.empty() && drafts.back().found.image == row.image;
            if (!starts_drug && !continues) continue;
            if (starts_drug) {
                drafts.emplace_back();
                drafts.back().match = std::move(match);
                drafts.back().found.printed = fields.name.text;
                drafts.back().found.image = row.image;
                drafts.back().row = index;
                drafts.back().row_box = row.box;
                drafts.back().lowest = lowest_probability(fields.name, row.tokens);
                demand_doubt(drafts.back(), fields.name, row);
            }
            Draft& draft = drafts.back();
            std::vector<Span> spans;
            if (starts_drug) spans.push_back({fields.name.begin, fields.name.end});
            if (!fields.dose.empty()) {
                spans.push_back({fields.dose.begin, fields.dose.end});
                draft.add_dosage(fields.dose.text, find_dosage(fields.dose.text));
            }
            if (const auto& inside = draft.match.printed.dosage; starts_drug && inside)
                draft.add_dosage(fields.name.text.substr(inside->begin, inside->end - inside->begin), inside);
            const Schedule schedule = schedule_of(fields);
            fill_missing(draft.found.schedule, schedule);
            if (!spans.empty())
                draft.add_evidence(row, spans);
            else if (!schedule.empty())
                unite(draft.found.box, row.box);
        }
    }
    std::erase_if(drafts, is_heading);
    merge_drafts(drafts, options_.certain_probability);
    std::vector<DrugFinding> out;
    out.reserve(drafts.size());
    for (const Draft& draft : drafts) out.push_back(finish(draft));
    return out;
}

void Validator::demand_doubt(Draft& draft, const Field& name, const Row& row) const {
    if (draft.match.kind != MatchKind::near) return;
    draft.found.edit_probability = edit_probability(draft.match.slips, name, row.text, row.tokens);
    if (draft.found.edit_probability && *draft.found.edit_probability < options_.certain_probability) return;
    draft.nearly = draft.match.drug;
    draft.match.drug.reset();
    draft.match.kind = MatchKind::none;
}

DrugFinding Validator::finish(const Draft& draft) const {
    DrugFinding out = draft.found;
    const MatchResult& match = draft.match;
    bool review = false;
    const auto warn = [&](WarningCode code, std::string_view subject, std::string_view detail, bool needs_review) {
        out.warnings.push_back(make_warning(code, subject, detail));
        review = review || needs_review;
    };
    out.candidates = match.candidates;
    out.form = match.printed.form;
    out.release = match.printed.release;
    if (draft.dosage) out.dosage = draft.dosage->normalized();

    out.reading_probability = draft.probability;
    if (draft.probability) out.confidence = calibrate(*draft.probability, options_.confidence);
    if (draft.head) out.confidence = draft.probability ? std::min(out.confidence, *draft.head) : *draft.head;
    const bool has_confidence = draft.probability || draft.head;
    const bool unsure = has_confidence && out.confidence < options_.confidence_threshold;

    const Drug* const drug = match.drug ? &matcher_.formulary().drugs[*match.drug] : nullptr;
    const Strength* const listed = drug != nullptr && draft.dosage ? find_strength(*drug, *draft.dosage) : nullptr;
    const bool other_strength = drug != nullptr && draft.dosage && listed == nullptr;
    const std::string strengths = drug != nullptr ? join_strengths(*drug) : "";
    if (other_strength && !strengths.empty() && (match.kind == MatchKind::near || unsure)) {
        warn(WarningCode::strength_differs, drug->name, *out.dosage + "; " + strengths, true);
    } else if (drug != nullptr) {
        out.name = drug->name;
        if (match.kind == MatchKind::near) warn(WarningCode::inexact_name, out.printed, drug->name, true);
        if (!match.salt.empty()) warn(WarningCode::salt_form, out.printed, match.salt, true);
        if (!out.release.empty() && !contains_any(drug->forms, out.release))
            warn(WarningCode::release_form, out.printed, out.release, true);
        const std::vector<Candidate> alike = matcher_.look_alikes(*match.drug);
        if (!alike.empty()) warn(WarningCode::look_alike, out.printed, join_names(alike), options_.review_look_alikes);
        if (listed != nullptr) out.dosage = listed->text;
        if (other_strength)
            warn(WarningCode::strength_unlisted, *out.dosage, strengths.empty() ? "-" : strengths, true);
    } else if (match.printed.combination) {
        warn(WarningCode::combination, out.printed, {}, true);
    } else if (match.kind == MatchKind::ambiguous) {
        const std::string names = join_names(match.candidates);
        warn(WarningCode::ambiguous, out.printed, match.other_name.empty() ? names : names + ", " + match.other_name,
             true);
    } else if (draft.nearly) {
        warn(WarningCode::different_name, out.printed, matcher_.formulary().drugs[*draft.nearly].name, true);
    } else {
        warn(WarningCode::unlisted, out.printed, {}, true);
    }
    if (!draft.conflict.empty()) warn(WarningCode::row_conflict, out.printed, draft.conflict, true);
    if (!draft.dosage) {
        if (out.printed_dosage.empty())
            warn(WarningCode::dosage_missing, out.printed, {}, true);
        else
            warn(WarningCode::dosage_unreadable, out.printed, out.printed_dosage, true);
    } else if (draft.dosage->repaired) {
        warn(WarningCode::dosage_repaired, out.printed, *out.dosage, true);
    }
    if (!draft.other_dosage.empty()) warn(WarningCode::dosage_conflict, out.printed, draft.other_dosage, true);
    if (!has_confidence)
        warn(WarningCode::confidence_unknown, out.printed, {}, true);
    else if (unsure)
        warn(WarningCode::low_confidence, out.printed, format_confidence(out.confidence, options_.confidence_threshold),
             true);

    out.status = !out.name ? Status::unverified : review ? Status::review : Status::verified;
    return out;
}

}  // namespace vlm::drug_validator
