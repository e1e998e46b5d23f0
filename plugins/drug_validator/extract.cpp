/** @file extract.cpp
 *  The choice between the three readers, and the tagged one. A model that was cut off at its token limit leaves tags
 * open, so an open field ends at the next tag.
 */
#include "extract.hpp"

#include <array>
#include <utility>

#include "text.hpp"

namespace vlm::drug_validator {
namespace {

using Slot = Field DrugFields::*;
constexpr std::array<std::pair<std::string_view, Slot>, 5> kTags{
    std::pair{std::string_view("s_name"), &DrugFields::name}, std::pair{std::string_view("s_dose"), &DrugFields::dose},
    std::pair{std::string_view("s_per"), &DrugFields::per}, std::pair{std::string_view("s_times"), &DrugFields::times},
    std::pair{std::string_view("s_days"), &DrugFields::days}};
constexpr std::size_t kMaxTag = 32;

/** A tag at @p pos ("<s_name>", "</s_name>", "<sep/>", "<pad>", "<|im_end|>"): its inside without "<", ">"; empty when
 * there is none. */
std::string_view tag_at(std::string_view text, std::size_t pos) {
    if (text[pos] != '<') return {};
    const std::size_t end = text.substr(pos, kMaxTag).find('>');
    if (end == std::string_view::npos) return {};
    const std::string_view inside = text.substr(pos + 1, end - 1);
    constexpr std::string_view kAllowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_/|0123456789";
    return inside.find_first_not_of(kAllowed) == std::string_view::npos ? inside : std::string_view{};
}

bool any_field(const DrugFields& d) {
    return !(d.name.empty() && d.dose.empty() && d.per.empty() && d.times.empty() && d.days.empty() &&
             d.schedule.empty());
}

}  // namespace

std::vector<DrugFields> extract_tagged(std::string_view text) {
    std::vector<DrugFields> out;
    DrugFields drug;
    Slot slot = nullptr;
    std::string value;
    std::size_t begin = 0;
    const auto flush_drug = [&] {
        if (any_field(drug)) out.push_back(std::move(drug));
        drug = {};
    };
    const auto flush_field = [&](std::size_t end) {
        const std::string trimmed(trim(value));
        if (slot && !trimmed.empty()) {
            if (slot == &DrugFields::name && !drug.name.empty()) flush_drug();
            if ((drug.*slot).empty()) drug.*slot = {trimmed, begin, end};
        }
        slot = nullptr;
        value.clear();
    };
    for (std::size_t pos = 0; pos < text.size();) {
        const std::string_view tag = tag_at(text, pos);
        if (tag.empty()) {
            value.push_back(text[pos++]);
            continue;
        }
        const std::size_t after = pos + tag.size() + 2;
        flush_field(tag.starts_with('/') ? after : pos);
        value.clear();
        for (const auto& [name, member] : kTags)
            if (tag == name) slot = member;
        if (tag == "sep/" || tag == "none/") flush_drug();
        begin = pos;
        pos = after;
    }
    flush_field(text.size());
    flush_drug();
    return out;
}

bool is_tagged(std::string_view text) {
    return text.find("<s_") != std::string_view::npos || text.find("<none/>") != std::string_view::npos;
}

std::vector<DrugFields> extract_fields(std::string_view text) {
    if (is_tagged(text)) return extract_tagged(text);
    const std::size_t bracket = text.find_first_of("{[");
    if (bracket != std::string_view::npos && text.find('"', bracket) != std::string_view::npos) {
        const std::string_view before = trim(text.substr(0, bracket));
        if (before.empty() || before.ends_with("```json") || before.ends_with("```") || before.ends_with(':'))
            return extract_json(text);
    }
    return extract_lines(text);
}

}  // namespace vlm::drug_validator
