/** @file name_words.hpp
 *  The words around a drug's name that are not the name: dosage forms, release, salts, notes. Kept apart from the
 * matching because these lists grow with every hospital, and the rules do not.
 */
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace vlm::drug_validator {

/** A folded Latin word that names a dosage form (tab, capsule, syr, inj …). */
bool is_form_word(std::string_view word);
/** A folded Latin word that names a kind of release (xr, sr, er, retard …). */
bool is_release_word(std::string_view word);
/** A folded Latin word that names a salt, ester or hydrate (besylate, sodium …). */
bool is_salt_word(std::string_view word);
/** A folded word that says nothing about the drug (급여, prn, new …). */
bool is_note_word(std::string_view word);

/** A name that ends in Hangul without what was cut off its end. */
struct Stripped {
    std::string stem;
    std::string cut;
};
/** Cuts a Korean form (정, 캡슐, 시럽 …) off the end; cut is empty when there is none or nothing would remain. */
Stripped strip_korean_form(std::string_view word);
/** Cuts a Korean kind of release (서방, 장용, 연질 …) off the end. */
Stripped strip_korean_release(std::string_view word);
/** Cuts a Korean salt (염산염, 나트륨 …) off the end. */
Stripped strip_korean_salt(std::string_view word);

}  // namespace vlm::drug_validator
