/** @file draft.cpp
 *  Pages have tens of drugs, so every pair is compared.
 */
#include "draft.hpp"

#include <algorithm>
#include <utility>

#include "text.hpp"

namespace vlm::drug_validator {
namespace {

constexpr float kSameRow = 0.6F;    ///< shared height over the lower one
constexpr float kSamePlace = 0.5F;  ///< shared area over the smaller one

float overlap(const Box& a, const Box& b, std::size_t axis) {
    return std::max(0.0F, std::min(a[axis + 2], b[axis + 2]) - std::max(a[axis], b[axis]));
}

bool same_row(const Draft& a, const Draft& b) {
    if (a.found.image != b.found.image) return false;
    if (a.row == b.row) return true;
    if (!a.row_box || !b.row_box) return false;
    const Box& p = *a.row_box;
    const Box& q = *b.row_box;
    return overlap(p, q, 1) >= kSameRow * std::min(p[3] - p[1], q[3] - q[1]);
}

bool same_place(const Draft& a, const Draft& b) {
    if (a.found.image != b.found.image || a.row == b.row || !a.row_box || !b.row_box) return false;
    const Box& p = *a.row_box;
    const Box& q = *b.row_box;
    const float smaller = std::min((p[2] - p[0]) * (p[3] - p[1]), (q[2] - q[0]) * (q[3] - q[1]));
    return smaller > 0 && overlap(p, q, 0) * overlap(p, q, 1) >= kSamePlace * smaller;
}

bool is_korean(const Draft& d) {
    const std::u32string key = match_key(d.found.printed);
    const auto hangul = std::count_if(key.begin(), key.end(), is_hangul);
    return hangul * 2 > static_cast<std::ptrdiff_t>(key.size());
}

bool strengths_agree(const Draft& a, const Draft& b) {
    return !a.dosage || !b.dosage || same_strength(*a.dosage, *b.dosage);
}

/** Whether both print the same numbers, whatever their units. */
bool same_numbers(const Dosage& a, const Dosage& b) {
    return std::equal(a.amounts.begin(), a.amounts.end(), b.amounts.begin(), b.amounts.end(),
                      [](const Quantity& p, const Quantity& q) { return p.value == q.value; });
}

/** Moves what @p from knows into @p to. */
void absorb(Draft& to, Draft& from) {
    if (!strengths_agree(to, from)) to.other_dosage = from.found.printed_dosage;
    if (to.found.also_printed.empty() && to.found.printed != from.found.printed)
        to.found.also_printed = from.found.printed;
    if (!to.dosage && from.dosage) {
        to.dosage = std::move(from.dosage);
        to.found.printed_dosage = from.found.printed_dosage;
        // The strength comes from the other reading, so its doubt counts too.
        if (from.probability) to.probability = std::min(to.probability.value_or(1.0), *from.probability);
    }
    if (to.other_dosage.empty()) to.other_dosage = from.other_dosage;
    fill_missing(to.found.schedule, from.found.schedule);
    unite(to.found.box, from.found.box);
}

void reject(Draft& d, const std::string& because) {
    d.nearly = d.match.drug;
    d.match.drug.reset();
    d.match.kind = MatchKind::none;
    d.conflict = because;
}

/** Whether @p a is the better reading of the same drug. */
bool surer(const Draft& a, const Draft& b) {
    if (a.match.kind != b.match.kind) return a.match.kind < b.match.kind;
    return a.probability.value_or(0.0) >= b.probability.value_or(0.0);
}

enum class Outcome { keep_both, first, second };

/** Which of two drafts of one row remains. */
Outcome judge_row(Draft& a, Draft& b, double certain) {
    if (a.match.drug && b.match.drug) {
        if (a.match.drug == b.match.drug) return surer(a, b) ? Outcome::first : Outcome::second;
        if (!a.dosage || !b.dosage) return Outcome::keep_both;
        // Only an exact name holds against another name at its side.
        if (a.match.kind == MatchKind::near) reject(a, b.found.printed);
        if (b.match.kind == MatchKind::near) reject(b, a.found.printed);
        a.conflict = b.found.printed;
        b.conflict = a.found.printed;
        return Outcome::keep_both;
    }
    if (!a.match.drug && !b.match.drug) return a.dosage && b.dosage ? Outcome::first : Outcome::keep_both;
    Draft& listed = a.match.drug ? a : b;
    Draft& other = a.match.drug ? b : a;
    const bool close = !other.match.candidates.empty() && other.match.candidates[0].drug == *listed.match.drug;
    if (!close) return Outcome::keep_both;
    if (other.lowest && *other.lowest >= certain) reject(listed, other.found.printed);
    return &listed == &a ? Outcome::first : Outcome::second;
}

Outcome judge(Draft& a, Draft& b, double certain) {
    const bool translated = same_row(a, b) && is_korean(a) != is_korean(b);
    if (!strengths_agree(a, b)) {
        const bool unit_misread =
            translated && a.match.drug && a.match.drug == b.match.drug && same_numbers(*a.dosage, *b.dosage);
        if (!unit_misread) return Outcome::keep_both;
        return surer(a, b) ? Outcome::first : Outcome::second;
    }
    if (same_place(a, b)) {
        const bool same = a.match.drug ? a.match.drug == b.match.drug
                                       : !b.match.drug && match_key(a.found.printed) == match_key(b.found.printed);
        if (same) return surer(a, b) ? Outcome::first : Outcome::second;
    }
    if (translated) return judge_row(a, b, certain);
    return Outcome::keep_both;
}

}  // namespace

void Draft::add_evidence(const Row& source, const std::vector<Span>& spans) {
    if (const auto p = reading_probability(source.tokens, spans)) probability = std::min(probability.value_or(1.0), *p);
    if (source.model_confidence) head = std::min(head.value_or(1.0), *source.model_confidence);
    unite(found.box, source.box);
}

void Draft::add_dosage(const std::string& text, std::optional<Dosage> parsed) {
    if (found.printed_dosage.empty() || (!dosage && parsed)) {
        found.printed_dosage = text;
        dosage = std::move(parsed);
    } else if (parsed && dosage && !same_strength(*parsed, *dosage)) {
        other_dosage = text;
    }
}

void unite(std::optional<Box>& box, const std::optional<Box>& other) {
    if (!other) return;
    if (!box) {
        box = other;
        return;
    }
    (*box)[0] = std::min((*box)[0], (*other)[0]);
    (*box)[1] = std::min((*box)[1], (*other)[1]);
    (*box)[2] = std::max((*box)[2], (*other)[2]);
    (*box)[3] = std::max((*box)[3], (*other)[3]);
}

void fill_missing(Schedule& to, const Schedule& from) {
    if (!to.per_dose) to.per_dose = from.per_dose;
    if (!to.times_per_day) to.times_per_day = from.times_per_day;
    if (!to.days) to.days = from.days;
    to.as_needed = to.as_needed || from.as_needed;
}

void merge_drafts(std::vector<Draft>& drafts, double certain) {
    for (std::size_t i = 0; i < drafts.size(); ++i) {
        for (std::size_t j = i + 1; j < drafts.size();) {
            const Outcome outcome = judge(drafts[i], drafts[j], certain);
            if (outcome == Outcome::keep_both) {
                ++j;
                continue;
            }
            if (outcome == Outcome::second) std::swap(drafts[i], drafts[j]);
            absorb(drafts[i], drafts[j]);
            drafts.erase(drafts.begin() + static_cast<std::ptrdiff_t>(j));
        }
    }
}

}  // namespace vlm::drug_validator
