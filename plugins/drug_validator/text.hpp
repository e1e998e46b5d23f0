/** @file text.hpp
 *  Unicode text as the drug validator compares it. Pages are printed in Korean and Latin, and text arrives composed or
 * decomposed, in full width or with one-character units (㎎), so everything is folded once here and each later file
 * sees one spelling only.
 */
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vlm::drug_validator {

/** Folded code points together with where each one came from. */
struct FoldedText {
    std::u32string text;  ///< folded code points
    std::vector<std::size_t>
        offset;  ///< byte offset in the source of each code point, plus the source's size at the end
};

/** Decodes UTF-8 (RFC 3629); each malformed byte becomes U+FFFD, so any input is accepted. */
std::u32string decode_utf8(std::string_view bytes);

/** Byte offset of the first malformed UTF-8 byte, or npos when the text is well formed. */
std::size_t find_invalid_utf8(std::string_view bytes);

/** Encodes code points as UTF-8; values that are no scalar value become U+FFFD. */
std::string encode_utf8(std::u32string_view text);

/** Lower case, full width to ASCII, ㎎-like units spelled out, Latin diacritics dropped, conjoining jamo (NFD) composed
 * to syllables. Keeps every other character. */
FoldedText fold(std::string_view bytes);

/** fold() without the offsets, encoded as UTF-8. */
std::string fold_to_utf8(std::string_view bytes);

bool is_digit(char32_t c);
/** a-z after folding, and every non-Hangul letter of the alphabets below U+0530. */
bool is_latin(char32_t c);
/** A Hangul syllable or a compatibility jamo. */
bool is_hangul(char32_t c);
bool is_space(char32_t c);

/** Replaces each Hangul syllable by its two or three compatibility jamo (Unicode 15, section 3.12); other characters
 * stay. */
std::u32string to_jamo(std::u32string_view text);

/** What names are compared by: folded letters and digits only, Hangul as jamo. Empty when the text holds neither. */
std::u32string match_key(std::string_view bytes);

/** Without white space at both ends. */
std::string_view trim(std::string_view text);

}  // namespace vlm::drug_validator
