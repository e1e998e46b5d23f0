/** @file unicode.cpp
 *  utf8proc is small, keeps to one job and is packaged everywhere. Its Unicode version is newer than the reference's,
 * so text is cut at the characters that the reference does not know; between the cuts both follow the same stable
 * rules.
 */
#include "host/tokenizer/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>
#include <memory>

#include "host/base/error.hpp"
#include "host/tokenizer/unicode_tables.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

template <typename Run>
const Run* find_run(std::span<const Run> runs, char32_t c) {
    const auto after =
        std::upper_bound(runs.begin(), runs.end(), c, [](char32_t v, const Run& r) { return v < r.first; });
    if (after == runs.begin()) return nullptr;
    const Run& run = *(after - 1);
    return c <= run.last ? &run : nullptr;
}

std::string map_known(std::string_view text, utf8proc_option_t options) {
    utf8proc_uint8_t* mapped = nullptr;
    const utf8proc_ssize_t size = utf8proc_map(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                                               static_cast<utf8proc_ssize_t>(text.size()), &mapped, options);
    const std::unique_ptr<utf8proc_uint8_t, decltype(&std::free)> owner(mapped, &std::free);
    if (size < 0) {
        throw resource_exhausted(std::string("tokenizer: the Unicode normal form of a text failed: ") +
                                 utf8proc_errmsg(size));
    }
    return {reinterpret_cast<const char*>(mapped), static_cast<std::size_t>(size)};
}

}  // namespace

bool is_white_space(char32_t c) {
    return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
           (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_word(char32_t c) {
    return find_run(kWord, c) != nullptr;
}
bool is_numeric(char32_t c) {
    return find_run(kNumeric, c) != nullptr;
}
bool is_punctuation(char32_t c) {
    return find_run(kPunctuation, c) != nullptr;
}
bool is_combining_mark(char32_t c) {
    return find_run(kCombiningMark, c) != nullptr;
}
bool is_nonspacing_mark(char32_t c) {
    return find_run(kNonspacingMark, c) != nullptr;
}
bool is_bert_control(char32_t c) {
    return find_run(kBertControl, c) != nullptr;
}

unsigned script_class(char32_t c) {
    const ScriptRun* run = find_run(kScript, c);
    return run ? run->script : 0;
}

void append_lower(std::string& out, char32_t c) {
    if (c == 0x130) {  // The one character whose lower case is two: i and a dot above.
        out += "i\xCC\x87";
        return;
    }
    const LowerRun* run = find_run(kLower, c);
    const bool mapped = run && (c - run->first) % run->step == 0;
    append_utf8(out, mapped ? static_cast<char32_t>(static_cast<std::int32_t>(c) + run->delta) : c);
}

std::string normal_form(std::string_view text, NormalForm form) {
    if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
        return std::string(text);  // Every form leaves ASCII alone.
    }
    const bool compose = form == NormalForm::kNfc || form == NormalForm::kNfkc;
    const bool compat = form == NormalForm::kNfkc || form == NormalForm::kNfkd;
    const auto options = static_cast<utf8proc_option_t>(
        UTF8PROC_STABLE | (compose ? UTF8PROC_COMPOSE : UTF8PROC_DECOMPOSE) | (compat ? UTF8PROC_COMPAT : 0));
    std::string out;
    out.reserve(text.size());
    std::size_t known = 0;
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t begin = pos;
        if (!find_run(kNormalFormUnknown, next_code_point(text, pos))) continue;
        if (begin > known) out += map_known(text.substr(known, begin - known), options);
        out.append(text.substr(begin, pos - begin));
        known = pos;
    }
    if (known < text.size()) out += map_known(text.substr(known), options);
    return out;
}

std::vector<std::size_t> grapheme_boundaries(std::string_view text) {
    std::vector<std::size_t> boundaries;
    utf8proc_int32_t state = 0, previous = -1;
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t begin = pos;
        const auto c = static_cast<utf8proc_int32_t>(next_code_point(text, pos));
        if (previous < 0 || utf8proc_grapheme_break_stateful(previous, c, &state)) boundaries.push_back(begin);
        previous = c;
    }
    boundaries.push_back(text.size());
    return boundaries;
}

}  // namespace vlm::tok
