/** @file text.cpp
 *  Folding is done by small tables rather than by a Unicode library: the plugin must be buildable from the SDK alone,
 * and only Latin and Hangul are compared. Unknown characters pass through, so they can only make two names differ,
 * never agree.
 */
#include "text.hpp"

#include <array>
#include <cstdint>

namespace vlm::drug_validator {
namespace {

constexpr char32_t kReplacement = 0xFFFD;
constexpr char32_t kSyllableBase = 0xAC00;
constexpr char32_t kSyllableCount = 11172;
constexpr char32_t kVowels = 21;
constexpr char32_t kTails = 28;

constexpr std::u32string_view kLeads = U"ㄱㄲㄴㄷㄸㄹㅁㅂㅃㅅㅆㅇㅈㅉㅊㅋㅌㅍㅎ";
constexpr std::u32string_view kTailJamo = U"ㄱㄲㄳㄴㄵㄶㄷㄹㄺㄻㄼㄽㄾㄿㅀㅁㅂㅄㅅㅆㅇㅈㅊㅋㅌㅍㅎ";
constexpr char32_t kFirstVowel = U'ㅏ';

/** Base letters of U+00C0..U+00FF; '\0' keeps the character. */
constexpr std::string_view kLatin1Base{
    "aaaaaa\0ceeeeiiii\0nooooo\0ouuuuy\0\0"
    "aaaaaa\0ceeeeiiii\0nooooo\0ouuuuy\0y",
    64};

struct Expansion {
    char32_t from;
    std::u32string_view to;
};
constexpr std::array kExpansions{
    Expansion{U'㎎', U"mg"}, Expansion{U'㎍', U"μg"}, Expansion{U'㎖', U"ml"}, Expansion{U'㎏', U"kg"},
    Expansion{U'㎕', U"μl"}, Expansion{U'㏄', U"cc"}, Expansion{U'½', U"1/2"}, Expansion{U'¼', U"1/4"},
    Expansion{U'¾', U"3/4"}, Expansion{U'µ', U"μ"},   Expansion{U'ß', U"ss"},  Expansion{U'æ', U"ae"},
    Expansion{0x3000, U" "}, Expansion{0xA0, U" "},   Expansion{U'∼', U"~"},   Expansion{U'〜', U"~"},
    Expansion{U'–', U"-"},   Expansion{U'—', U"-"},   Expansion{U'−', U"-"},   Expansion{U'×', U"x"},
    Expansion{U'·', U"."},   Expansion{U'‐', U"-"},   Expansion{0x2011, U"-"}, Expansion{U'㎜', U"mm"},
    Expansion{0x200B, U""},  Expansion{0xFEFF, U""},  Expansion{0xAD, U""},    Expansion{U'ﬁ', U"fi"},
    Expansion{U'ﬂ', U"fl"},  Expansion{U'℃', U"c"},   Expansion{U'œ', U"oe"},  Expansion{U'／', U"/"},
};

/** Decodes one code point at @p pos and moves it on; malformed input consumes one byte. @p ok tells which it was. */
char32_t next_code_point(std::string_view s, std::size_t& pos, bool& ok) {
    const auto byte = [&](std::size_t i) { return static_cast<std::uint8_t>(s[i]); };
    const std::uint8_t lead = byte(pos);
    ok = true;
    if (lead < 0x80) {
        ++pos;
        return lead;
    }
    const std::size_t length = lead >= 0xF0 && lead < 0xF5   ? 4
                               : lead >= 0xE0 && lead < 0xF0 ? 3
                               : lead >= 0xC2 && lead < 0xE0 ? 2
                                                             : 0;
    ok = length != 0 && pos + length <= s.size();
    char32_t value = length == 2 ? lead & 0x1Fu : length == 3 ? lead & 0x0Fu : lead & 0x07u;
    for (std::size_t i = 1; ok && i < length; ++i) {
        ok = (byte(pos + i) & 0xC0u) == 0x80u;
        value = (value << 6) | (byte(pos + i) & 0x3Fu);
    }
    constexpr std::array<char32_t, 5> kSmallest{0, 0, 0x80, 0x800, 0x10000};
    ok = ok && value >= kSmallest[length] && value <= 0x10FFFF && (value < 0xD800 || value > 0xDFFF);
    if (!ok) {
        ++pos;
        return kReplacement;
    }
    pos += length;
    return value;
}

bool is_lead(char32_t c) {
    return c >= 0x1100 && c <= 0x1112;
}
bool is_vowel(char32_t c) {
    return c >= 0x1161 && c <= 0x1175;
}
bool is_tail(char32_t c) {
    return c >= 0x11A8 && c <= 0x11C2;
}
bool is_syllable(char32_t c) {
    return c >= kSyllableBase && c < kSyllableBase + kSyllableCount;
}

void push(FoldedText& out, char32_t c, std::size_t offset) {
    out.text.push_back(c);
    out.offset.push_back(offset);
}

void fold_one(FoldedText& out, char32_t c, std::size_t offset) {
    if (c >= 0xFF01 && c <= 0xFF5E) c -= 0xFEE0;
    for (const Expansion& e : kExpansions)
        if (e.from == c) {
            for (char32_t x : e.to) push(out, x, offset);
            return;
        }
    if (c >= U'A' && c <= U'Z') c += 32;
    if (c >= 0xC0 && c <= 0xFF && kLatin1Base[c - 0xC0] != '\0') c = static_cast<unsigned char>(kLatin1Base[c - 0xC0]);
    if (c >= 0x391 && c <= 0x3A9) c += 32;  // Greek capitals: Μg is also printed
    if (c >= 0x300 && c <= 0x36F) return;
    // A vowel or a tail joins the syllable being built (Unicode 15, section 3.12, composition).
    if (!out.text.empty()) {
        char32_t& last = out.text.back();
        if (is_vowel(c) && is_lead(last)) {
            last = kSyllableBase + ((last - 0x1100) * kVowels + (c - 0x1161)) * kTails;
            return;
        }
        if (is_tail(c) && is_syllable(last) && (last - kSyllableBase) % kTails == 0) {
            last += c - 0x11A7;
            return;
        }
    }
    push(out, c, offset);
}

}  // namespace

std::u32string decode_utf8(std::string_view bytes) {
    std::u32string out;
    out.reserve(bytes.size());
    bool ok = true;
    for (std::size_t pos = 0; pos < bytes.size();) out.push_back(next_code_point(bytes, pos, ok));
    return out;
}

std::size_t find_invalid_utf8(std::string_view bytes) {
    bool ok = true;
    for (std::size_t pos = 0; pos < bytes.size();) {
        const std::size_t start = pos;
        next_code_point(bytes, pos, ok);
        if (!ok) return start;
    }
    return std::string_view::npos;
}

std::string encode_utf8(std::u32string_view text) {
    std::string out;
    out.reserve(text.size() * 3);
    const auto put = [&](char32_t v) { out.push_back(static_cast<char>(static_cast<unsigned char>(v))); };
    for (char32_t c : text) {
        if (c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF)) c = kReplacement;
        if (c < 0x80) {
            put(c);
        } else if (c < 0x800) {
            put(0xC0 | (c >> 6));
            put(0x80 | (c & 0x3F));
        } else if (c < 0x10000) {
            put(0xE0 | (c >> 12));
            put(0x80 | ((c >> 6) & 0x3F));
            put(0x80 | (c & 0x3F));
        } else {
            put(0xF0 | (c >> 18));
            put(0x80 | ((c >> 12) & 0x3F));
            put(0x80 | ((c >> 6) & 0x3F));
            put(0x80 | (c & 0x3F));
        }
    }
    return out;
}

FoldedText fold(std::string_view bytes) {
    FoldedText out;
    out.text.reserve(bytes.size());
    out.offset.reserve(bytes.size() + 1);
    bool ok = true;
    for (std::size_t pos = 0; pos < bytes.size();) {
        const std::size_t start = pos;
        const char32_t c = next_code_point(bytes, pos, ok);
        fold_one(out, c, start);
    }
    out.offset.push_back(bytes.size());
    return out;
}

std::string fold_to_utf8(std::string_view bytes) {
    return encode_utf8(fold(bytes).text);
}

bool is_digit(char32_t c) {
    return c >= U'0' && c <= U'9';
}

bool is_latin(char32_t c) {
    return (c >= U'a' && c <= U'z') || (c >= U'A' && c <= U'Z') || (c >= 0xC0 && c < 0x530 && c != 0xD7 && c != 0xF7);
}

bool is_hangul(char32_t c) {
    return is_syllable(c) || (c >= 0x3131 && c <= 0x3163);
}

bool is_space(char32_t c) {
    return c == U' ' || (c >= U'\t' && c <= U'\r');
}

std::u32string to_jamo(std::u32string_view text) {
    std::u32string out;
    out.reserve(text.size() * 3);
    for (char32_t c : text) {
        if (!is_syllable(c)) {
            out.push_back(c);
            continue;
        }
        const char32_t index = c - kSyllableBase;
        out.push_back(kLeads[index / (kVowels * kTails)]);
        out.push_back(kFirstVowel + index / kTails % kVowels);
        if (const char32_t tail = index % kTails) out.push_back(kTailJamo[tail - 1]);
    }
    return out;
}

std::u32string match_key(std::string_view bytes) {
    std::u32string letters;
    for (char32_t c : fold(bytes).text)
        if (is_latin(c) || is_hangul(c) || is_digit(c)) letters.push_back(c);
    return to_jamo(letters);
}

std::string_view trim(std::string_view text) {
    constexpr std::string_view kSpaces = " \t\r\n\v\f";
    const std::size_t first = text.find_first_not_of(kSpaces);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(kSpaces) - first + 1);
}

}  // namespace vlm::drug_validator
