/** @file evidence.cpp
 *  Names are compared as folded letters and jamo, tokens are bytes of the answer; the way back goes through the offsets
 * that folding keeps. A missing character leaves no token, but the model then chose a neighbour in its place, so both
 * neighbours are asked.
 */
#include "evidence.hpp"

#include <algorithm>
#include <cmath>

#include "edit_distance.hpp"
#include "text.hpp"

namespace vlm::drug_validator {
namespace {

/** match_key() of a text with the bytes that each of its characters came from. */
struct PlacedKey {
    std::u32string key;
    std::vector<Span> bytes;
};

PlacedKey place_key(std::string_view text, std::size_t base) {
    PlacedKey out;
    const FoldedText folded = fold(text);
    for (std::size_t i = 0; i < folded.text.size(); ++i) {
        const char32_t c = folded.text[i];
        if (!is_latin(c) && !is_hangul(c) && !is_digit(c)) continue;
        // Several code points may come from one character (㎎); they share its bytes.
        std::size_t end = i + 1;
        while (end < folded.text.size() && folded.offset[end] == folded.offset[i]) ++end;
        out.key += to_jamo(std::u32string_view(&c, 1));
        out.bytes.resize(out.key.size(), {base + folded.offset[i], base + folded.offset[end]});
    }
    return out;
}

std::optional<double> lowest_in(const Span& span, const std::vector<Token>& tokens) {
    std::optional<double> lowest;
    for (const Token& t : tokens) {
        if (t.begin >= span.end || span.begin >= t.end) continue;
        const double p = std::isnan(t.log_probability) ? 0.0 : std::exp(std::min(t.log_probability, 0.0));
        lowest = std::min(lowest.value_or(1.0), p);
    }
    return lowest;
}

}  // namespace

std::optional<double> edit_probability(const std::vector<Slip>& slips, const Field& name, std::string_view text,
                                       const std::vector<Token>& tokens) {
    const std::size_t base = text.substr(0, name.end).find(name.text, name.begin);
    if (slips.empty() || base == std::string_view::npos) return std::nullopt;
    const PlacedKey placed = place_key(name.text, base);
    double surest = 0;
    for (const Slip& slip : slips) {
        const std::size_t at = placed.key.find(slip.read);
        if (slip.read.empty() || at == std::u32string::npos) return std::nullopt;
        for (const EditPlace& edit : edit_places(slip.read, slip.meant)) {
            const bool missing = edit.begin == edit.end;
            const std::size_t first = at + edit.begin - (missing && at + edit.begin > 0 ? 1 : 0);
            const std::size_t last = at + edit.end + (missing ? 1 : 0);
            Span span = placed.bytes[first];
            // After the last letter stands the tag or space that was chosen in place of another letter.
            span.end = last <= placed.bytes.size() ? placed.bytes[last - 1].end : placed.bytes.back().end + 1;
            const std::optional<double> p = lowest_in(span, tokens);
            if (!p) return std::nullopt;
            surest = std::max(surest, *p);
        }
    }
    return surest;
}

std::optional<double> lowest_probability(const Field& field, const std::vector<Token>& tokens) {
    return lowest_in({field.begin, field.end}, tokens);
}

}  // namespace vlm::drug_validator
