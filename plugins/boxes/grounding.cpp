/** @file grounding.cpp
 *  A small parser by hand: std::regex recurses once per character and can exhaust the stack on a long answer.
 */
#include "grounding.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

namespace vlm::boxes {
namespace {

constexpr std::string_view kPhrase = "<phrase>";
constexpr std::string_view kPhraseEnd = "</phrase>";
constexpr std::string_view kObject = "<object>";
constexpr std::string_view kObjectEnd = "</object>";
constexpr std::string_view kDelimiter = "</delimiter_of_multi_objects/>";
constexpr std::string_view kPatch = "<patch_index_";

bool take(std::string_view& rest, std::string_view token) {
    if (!rest.starts_with(token)) return false;
    rest.remove_prefix(token.size());
    return true;
}

std::optional<int64_t> take_index(std::string_view& rest) {
    std::string_view at = rest;
    if (!take(at, kPatch)) return std::nullopt;
    int64_t value = 0;
    const auto [end, error] = std::from_chars(at.data(), at.data() + at.size(), value);
    if (error != std::errc() || value < 0) return std::nullopt;
    at.remove_prefix(static_cast<size_t>(end - at.data()));
    if (!take(at, ">")) return std::nullopt;
    rest = at;
    return value;
}

using Cells = std::vector<std::pair<int64_t, int64_t>>;

/** `<object>` with its pairs, or nothing when the grammar is broken. */
std::optional<Cells> take_object(std::string_view& rest) {
    std::string_view at = rest;
    if (!take(at, kObject)) return std::nullopt;
    Cells cells;
    do {
        const auto first = take_index(at);
        const auto last = first ? take_index(at) : std::nullopt;
        if (!last) return std::nullopt;
        cells.emplace_back(*first, *last);
    } while (take(at, kDelimiter));
    if (!take(at, kObjectEnd)) return std::nullopt;
    rest = at;
    return cells;
}

bool is_space(char c) {
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/** Length of the tag that `rest` begins with, 0: none. A tag ends at the first '>' of the same line. */
size_t tag_length(std::string_view rest) {
    if (!rest.starts_with("<")) return 0;
    const size_t end = rest.find_first_of(">\n");
    return end == std::string_view::npos || rest[end] != '>' ? 0 : end + 1;
}

void trim(std::string_view& phrase, int64_t& begin, int64_t& end) {
    while (!phrase.empty() && is_space(phrase.front())) phrase.remove_prefix(1), ++begin;
    while (!phrase.empty() && is_space(phrase.back())) phrase.remove_suffix(1), --end;
}

void add_entity(Grounded& out, std::string_view phrase, int64_t begin, int64_t end, const Cells& cells, int64_t side) {
    Entity entity;
    trim(phrase, begin, end);
    entity.phrase = phrase;
    entity.begin = begin;
    entity.end = std::max(begin, end);
    for (const auto& [first, last] : cells)
        if (first < side * side && last < side * side) entity.boxes.push_back(box_of_cells(first, last, side));
    if (!entity.boxes.empty()) out.entities.push_back(std::move(entity));
}

}  // namespace

Box box_of_cells(int64_t first, int64_t last, int64_t side) {
    const double cell = 1.0 / static_cast<double>(side);
    const int64_t left = first % side, top = first / side, right = last % side, bottom = last / side;
    const bool thin = left == right || top == bottom;
    const double begin = thin ? 0 : cell / 2, end = thin ? cell : cell / 2;
    const auto at = [&](int64_t index, double offset) { return static_cast<double>(index) * cell + offset; };
    return {at(left, begin), at(top, begin), at(right, end), at(bottom, end)};
}

Grounded read_grounded(std::string_view text, int64_t side) {
    Grounded out;
    // The phrase that ended just before: an object that follows at once belongs to it.
    struct Phrase {
        std::string_view text;
        int64_t begin = 0, end = 0;
    };
    Phrase phrase;
    bool named = false;
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto place = static_cast<int64_t>(out.text.size());
        if (const auto cells = take_object(rest)) {
            if (named) {
                add_entity(out, phrase.text, phrase.begin, phrase.end, *cells, side);
            } else {
                // Boxes without a phrase stand alone, each by itself.
                for (const auto& pair : *cells) add_entity(out, {}, place, place, {pair}, side);
            }
            named = false;
            continue;
        }
        if (rest.starts_with(kPhrase)) {
            const std::string_view inside = rest.substr(kPhrase.size());
            const size_t end = inside.find('<');
            if (end != std::string_view::npos && end > 0 && inside.substr(end).starts_with(kPhraseEnd)) {
                const std::string_view words = inside.substr(0, end);
                out.text += words;
                rest = inside.substr(end + kPhraseEnd.size());
                phrase = Phrase{words, place, place + static_cast<int64_t>(words.size())};
                named = true;
                continue;
            }
        }
        named = false;
        if (const size_t tag = tag_length(rest)) {
            rest.remove_prefix(tag);
        } else {
            out.text += rest.front();
            rest.remove_prefix(1);
        }
    }
    const auto first = std::find_if_not(out.text.begin(), out.text.end(), is_space);
    const int64_t leading = first - out.text.begin();
    while (!out.text.empty() && is_space(out.text.back())) out.text.pop_back();
    out.text.erase(0, std::min(static_cast<size_t>(leading), out.text.size()));
    for (auto& entity : out.entities) {
        const auto shift = [&](int64_t at) {
            return std::clamp<int64_t>(at - leading, 0, static_cast<int64_t>(out.text.size()));
        };
        entity.begin = shift(entity.begin);
        entity.end = shift(entity.end);
    }
    return out;
}

}  // namespace vlm::boxes
