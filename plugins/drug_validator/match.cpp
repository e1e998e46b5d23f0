/** @file match.cpp
 *  Every name is compared with every entry: with bit-parallel distances that is faster than an index for any real
 * formulary, and it gives the second-best drug exactly, which the margin rule needs. A printed name is tried as it is,
 * without its form, and without its salt, in that order, so that nothing is cut from a name that matches whole.
 */
#include "match.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "edit_distance.hpp"
#include "name_words.hpp"
#include "text.hpp"

namespace vlm::drug_validator {
namespace {

constexpr double kTolerance = 1e-9;
constexpr std::size_t kMaxNameBytes = 512;  ///< longer text is no name; bounds the work per name

std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> out;
    std::u32string word;
    const std::u32string folded = fold(text).text;
    for (std::size_t i = 0; i <= folded.size(); ++i) {
        if (i < folded.size() && (is_latin(folded[i]) || is_hangul(folded[i]) || is_digit(folded[i]))) {
            word.push_back(folded[i]);
        } else if (!word.empty()) {
            out.push_back(encode_utf8(word));
            word.clear();
        }
    }
    return out;
}

std::string join(const std::vector<std::string>& words) {
    std::string out;
    for (const std::string& w : words) out += (out.empty() ? "" : " ") + w;
    return out;
}

/** Words in which one character is the whole difference: of one or two letters, or with a digit at an end ("b12",
 * "1a"). A digit amid letters is a misread letter and counts as the edit that it is. */
std::vector<std::string> short_words(std::string_view name) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    std::vector<std::string> out;
    for (std::string& w : split_words(name))
        if (w.size() <= 2 || digit(w.front()) || digit(w.back())) out.push_back(std::move(w));
    std::sort(out.begin(), out.end());
    return out;
}

/** One way to read a segment: its text, and what was left out of it. */
struct Variant {
    std::string text;
    std::string form;
    std::string release;
    std::string salt;
};

void note(std::string& to, const std::string& word) {
    if (!word.empty()) to += (to.empty() ? "" : " ") + word;
}

/** Without forms and releases, Latin words anywhere after the first and Korean suffixes of the last word. */
Variant without_form(std::string_view segment) {
    Variant out;
    std::vector<std::string> kept;
    for (const std::string& word : split_words(segment)) {
        if (is_form_word(word))
            note(out.form, word);
        else if (is_release_word(word))
            note(out.release, word);
        else
            kept.push_back(word);
    }
    while (!kept.empty()) {
        // "아목시실린 캡슐": the form may stand alone; with a letter before it strip_korean_form cuts it like a suffix.
        const Stripped alone = strip_korean_form("." + kept.back());
        if (kept.size() == 1 || alone.stem != ".") break;
        note(out.form, alone.cut);
        kept.pop_back();
    }
    if (!kept.empty()) {
        Stripped form = strip_korean_form(kept.back());
        note(out.form, form.cut);
        const Stripped release = strip_korean_release(form.stem);
        note(out.release, release.cut);
        kept.back() = release.stem;
    }
    out.text = join(kept);
    return out;
}

Variant without_salt(const Variant& base) {
    Variant out = base;
    std::vector<std::string> kept;
    for (const std::string& word : split_words(base.text)) {
        if (is_salt_word(word) && !kept.empty())
            note(out.salt, word);
        else
            kept.push_back(word);
    }
    for (bool again = !kept.empty(); again;) {
        const Stripped salt = strip_korean_salt(kept.back());
        again = !salt.cut.empty();
        note(out.salt, salt.cut);
        kept.back() = salt.stem;
    }
    out.text = join(kept);
    return out;
}

/** Where a list mark ("1.", "2)", "-", "①", "#3") before a name ends. */
std::size_t after_list_mark(std::u32string_view s) {
    std::size_t i = 0;
    const auto skip = [&] {
        while (i < s.size() &&
               (is_space(s[i]) || s[i] == U'-' || s[i] == U'*' || s[i] == U'#' || s[i] == U'•' || s[i] == U'▶' ||
                s[i] == U'○' || s[i] == U'●' || s[i] == U'■' || s[i] == U'□' || (s[i] >= U'①' && s[i] <= U'⑳')))
            ++i;
    };
    skip();
    std::size_t digits = i;
    while (digits < s.size() && is_digit(s[digits])) ++digits;
    if (digits > i && digits - i <= 2 && digits < s.size() && (s[digits] == U'.' || s[digits] == U')')) i = digits + 1;
    skip();
    return i;
}

bool opens(char32_t c) {
    return c == U'(' || c == U'[' || c == U'{' || c == U'<' || c == U'【' || c == U'〔';
}
bool closes(char32_t c) {
    return c == U')' || c == U']' || c == U'}' || c == U'>' || c == U'】' || c == U'〕';
}

}  // namespace

PrintedName parse_printed_name(std::string_view printed) {
    PrintedName out;
    std::string text(printed.substr(0, kMaxNameBytes));
    // All strengths go; the first is kept for a row without a field of its own.
    while (const std::optional<Dosage> dosage = find_dosage(text)) {
        if (!out.dosage) out.dosage = dosage;
        text.replace(dosage->begin, dosage->end - dosage->begin, " ");
    }
    std::u32string s = fold(text).text;
    s.erase(0, after_list_mark(s));

    enum class Script { none, latin, hangul };
    Script script = Script::none;
    std::u32string segment;
    std::vector<std::string> raw;
    const auto finish = [&] {
        if (!match_key(encode_utf8(segment)).empty()) raw.push_back(encode_utf8(segment));
        segment.clear();
        script = Script::none;
    };
    for (std::size_t i = 0; i < s.size(); ++i) {
        if (s[i] == U'#') {  // "#30" counts what is dispensed
            while (i + 1 < s.size() && is_digit(s[i + 1])) ++i;
        } else if (opens(s[i]) || closes(s[i])) {
            finish();
        } else if (s[i] == U'/' || s[i] == U'+' || s[i] == U'&' || s[i] == U',') {
            finish();
            out.combination = out.combination || (!raw.empty() && i + 1 < s.size());
        } else {
            const Script here = is_hangul(s[i]) ? Script::hangul : is_latin(s[i]) ? Script::latin : Script::none;
            if (here != Script::none && script != Script::none && here != script) finish();
            if (here != Script::none) script = here;
            segment.push_back(s[i]);
        }
    }
    finish();
    for (const std::string& r : raw) {
        const Variant v = without_form(r);
        note(out.form, v.form);
        note(out.release, v.release);
        std::vector<std::string> words = split_words(r);
        words.erase(std::remove_if(words.begin(), words.end(), is_note_word), words.end());
        // A segment of forms alone ("tab" after a Korean name) is no name of its own.
        const bool only_form = std::all_of(words.begin(), words.end(), [](const std::string& w) {
            return is_form_word(w) || is_release_word(w) || strip_korean_form("." + w).stem == ".";
        });
        if (!only_form) out.segments.push_back(join(words));
    }
    if (out.segments.size() < 2) out.combination = false;
    return out;
}

/** The nearest distance of every drug over the variants of one segment. */
struct Matcher::Search {
    std::vector<Candidate>
        nearest;  ///< one for each drug, then one for each other name; distance > 1 where nothing was compared
    std::vector<std::string> salts;  ///< what the winning variant left out
    std::vector<bool> same_short_words;
    std::vector<Slip> slips;  ///< the two keys that gave the nearest distance
};

Matcher::Matcher(Formulary formulary, MatchOptions options, const std::vector<OtherName>& others)
    : formulary_(std::move(formulary)), options_(options) {
    const auto check = [](const char* name, double value, double low, double high) {
        if (!(value >= low && value <= high))
            throw ConfigError(std::string("option ") + name + ": found " + std::to_string(value) + ", expected " +
                              std::to_string(low) + " to " + std::to_string(high));
    };
    check("max_distance", options.max_distance, 0, 0.5);
    check("max_edits", options.max_edits, 0, 16);
    check("min_margin", options.min_margin, 0, 1);
    check("look_alike_distance", options.look_alike_distance, 0, 1);
    check("candidate_distance", options.candidate_distance, 0, 1);
    check("max_candidates", options.max_candidates, 0, 100);
    for (std::size_t i = 0; i < formulary_.drugs.size(); ++i) {
        const Drug& drug = formulary_.drugs[i];
        add(i, drug.name, true);
        for (const std::string& name : drug.names_ko) add(i, name, true);
        for (const std::string& name : drug.aliases) add(i, name, false);
    }
    std::vector<std::u32string> listed;
    for (const Entry& e : entries_) listed.push_back(e.key);
    std::sort(listed.begin(), listed.end());
    for (const OtherName& other : others) {
        // A name that the formulary holds itself is listed, whatever the list of other names says.
        const auto is_listed = [&](const std::string& name) {
            return std::binary_search(listed.begin(), listed.end(), match_key(name));
        };
        if (is_listed(other.name) || is_listed(other.name_ko)) continue;
        const std::size_t index = formulary_.drugs.size() + other_names_.size();
        other_names_.push_back(other.name.empty() ? other.name_ko : other.name);
        add(index, other.name, false);
        add(index, other.name_ko, false);
    }
}

void Matcher::add(std::size_t drug, std::string_view name, bool canonical) {
    std::u32string key = match_key(name);
    if (!key.empty()) entries_.push_back({std::move(key), short_words(name), drug, canonical});
}

MatchResult Matcher::match_segment(std::string_view segment) const {
    const std::size_t total = formulary_.drugs.size() + other_names_.size();
    Search search;
    search.nearest.resize(total);
    search.salts.resize(total);
    search.same_short_words.assign(total, false);
    search.slips.resize(total);
    for (std::size_t i = 0; i < total; ++i) search.nearest[i] = {i, {}, 2.0, std::numeric_limits<std::size_t>::max()};

    const Variant whole{.text = std::string(segment), .form = {}, .release = {}, .salt = {}};
    const Variant stem = without_form(segment);
    const Variant base = without_salt(stem);
    std::vector<std::u32string> tried;
    for (const Variant* variant : {&whole, &stem, &base}) {
        std::u32string key = match_key(variant->text);
        if (key.empty() || std::find(tried.begin(), tried.end(), key) != tried.end()) continue;
        const EditPattern pattern(key);
        const std::vector<std::string> words = short_words(variant->text);
        for (const Entry& e : entries_) {
            const std::size_t edits = pattern.distance(e.key);
            const double distance = normalized_distance(edits, key.size(), e.key.size());
            if (distance + kTolerance >= search.nearest[e.drug].distance) continue;
            search.nearest[e.drug].distance = distance;
            search.nearest[e.drug].edits = edits;
            search.salts[e.drug] = variant->salt;
            search.same_short_words[e.drug] = words == e.short_words;
            search.slips[e.drug] = {key, e.key};
        }
        tried.push_back(std::move(key));
    }
    MatchResult result;
    decide(search, result);
    return result;
}

void Matcher::decide(const Search& search, MatchResult& result) const {
    const std::size_t drugs = formulary_.drugs.size();
    std::vector<Candidate> order = search.nearest;
    std::stable_sort(order.begin(), order.end(),
                     [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
    for (const Candidate& c : order) {
        if (c.drug >= drugs || c.distance > options_.candidate_distance + kTolerance) continue;
        if (result.candidates.size() >= static_cast<std::size_t>(options_.max_candidates)) break;
        result.candidates.push_back({c.drug, formulary_.drugs[c.drug].name, c.distance, c.edits});
    }
    const auto best = std::find_if(order.begin(), order.end(), [&](const Candidate& c) { return c.drug < drugs; });
    if (best == order.end()) return;
    if (order.front().drug >= drugs) result.other_name = other_names_[order.front().drug - drugs];
    const bool exact = best->edits == 0;
    const bool within = best->edits <= static_cast<std::size_t>(options_.max_edits) &&
                        best->distance <= options_.max_distance + kTolerance && search.same_short_words[best->drug];
    if (!exact && !within) return;
    const double needed = exact ? 0.0 : best->distance + options_.min_margin - kTolerance;
    const auto rival = std::find_if(order.begin(), order.end(), [&](const Candidate& c) {
        return c.drug != best->drug && (exact ? c.edits == 0 : c.distance < needed);
    });
    if (rival != order.end()) {
        result.kind = MatchKind::ambiguous;
        if (rival->drug >= drugs) result.other_name = other_names_[rival->drug - drugs];
        return;
    }
    result.kind = exact ? MatchKind::exact : MatchKind::near;
    result.drug = best->drug;
    result.salt = search.salts[best->drug];
    if (!exact) result.slips.push_back(search.slips[best->drug]);
}

MatchResult Matcher::match(std::string_view printed) const {
    const PrintedName name = parse_printed_name(printed);
    MatchResult result;
    if (name.segments.size() == 1) {
        result = match_segment(name.segments[0]);
    } else if (name.segments.size() > 1) {
        // The whole first: a formulary may list a combination under one name.
        result = match_segment(join(name.segments));
        if (!result.drug) {
            std::vector<MatchResult> parts;
            for (const std::string& s : name.segments) parts.push_back(match_segment(s));
            const auto agrees = [&](const MatchResult& r) { return r.drug && r.drug == parts[0].drug; };
            if (!name.combination && std::all_of(parts.begin(), parts.end(), agrees)) {
                // Both languages of a bilingual form name the same drug: the farther one decides how exact that is.
                result = parts[0];
                for (const MatchResult& r : parts) {
                    if (r.kind == MatchKind::near) result.kind = r.kind;
                    if (&r != &parts[0]) result.slips.insert(result.slips.end(), r.slips.begin(), r.slips.end());
                    if (result.salt.empty()) result.salt = r.salt;
                }
            } else {
                result = {};
                for (const MatchResult& r : parts) {
                    if (r.drug) result.kind = MatchKind::ambiguous;
                    for (const Candidate& c : r.candidates) {
                        const bool known = std::any_of(result.candidates.begin(), result.candidates.end(),
                                                       [&](const Candidate& k) { return k.drug == c.drug; });
                        if (!known) result.candidates.push_back(c);
                    }
                }
                std::stable_sort(result.candidates.begin(), result.candidates.end(),
                                 [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
                if (result.candidates.size() > static_cast<std::size_t>(options_.max_candidates))
                    result.candidates.resize(static_cast<std::size_t>(options_.max_candidates));
            }
        }
    }
    result.printed = name;
    return result;
}

std::vector<Candidate> Matcher::look_alikes(std::size_t drug) const {
    std::vector<Candidate> nearest(formulary_.drugs.size());
    for (std::size_t i = 0; i < nearest.size(); ++i) nearest[i] = {i, formulary_.drugs[i].name, 2.0, 0};
    for (const Entry& own : entries_) {
        if (own.drug != drug || !own.canonical) continue;
        const EditPattern pattern(own.key);
        for (const Entry& e : entries_) {
            if (e.drug == drug || !e.canonical) continue;
            const std::size_t edits = pattern.distance(e.key);
            const double distance = normalized_distance(edits, own.key.size(), e.key.size());
            if (distance < nearest[e.drug].distance) {
                nearest[e.drug].distance = distance;
                nearest[e.drug].edits = edits;
            }
        }
    }
    std::erase_if(nearest, [&](const Candidate& c) { return c.distance > options_.look_alike_distance + kTolerance; });
    std::stable_sort(nearest.begin(), nearest.end(),
                     [](const Candidate& a, const Candidate& b) { return a.distance < b.distance; });
    return nearest;
}

}  // namespace vlm::drug_validator
