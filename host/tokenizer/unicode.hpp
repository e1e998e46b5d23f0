/** @file unicode.hpp
 *  Character classes, lower case, normal forms and grapheme clusters as the reference tokenizer library has them. The
 * classes are generated tables (unicode_tables.hpp); the normal forms and clusters are utf8proc's, held to the
 * characters that the reference knows.
 */
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace vlm::tok {

bool is_white_space(char32_t c);      ///< Property White_Space (Rust's char::is_whitespace, \s of its regex crate).
bool is_word(char32_t c);             ///< \w of the Rust regex crate.
bool is_numeric(char32_t c);          ///< Nd, Nl, No.
bool is_punctuation(char32_t c);      ///< ASCII punctuation or category P.
bool is_combining_mark(char32_t c);   ///< Category M as StripAccents sees it.
bool is_nonspacing_mark(char32_t c);  ///< Category Mn as BertNormalizer sees it.
bool is_bert_control(char32_t c);     ///< Dropped by BertNormalizer's clean_text (controls, private use, NUL, U+FFFD).

/** A number that is equal for characters that UnicodeScripts keeps together; 0 joins with everything. */
unsigned script_class(char32_t c);

/** Appends the lower case of a character, without context (no final sigma), as Rust's char::to_lowercase. */
void append_lower(std::string& out, char32_t c);

enum class NormalForm { kNfc, kNfd, kNfkc, kNfkd };

/** A Unicode normal form of valid UTF-8. Characters newer than the reference's Unicode data pass through unchanged, as
 * there.
 *  @throws Error RESOURCE_EXHAUSTED when there is no memory for the result */
std::string normal_form(std::string_view text, NormalForm form);

/** Offsets at which the extended grapheme clusters of valid UTF-8 begin, and the text's length at the end. */
std::vector<std::size_t> grapheme_boundaries(std::string_view text);

}  // namespace vlm::tok
