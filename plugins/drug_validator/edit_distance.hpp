/** @file edit_distance.hpp
 *  Edit distance for names. The restricted Damerau-Levenshtein distance (optimal string alignment, OSA) is used because
 * swapped letters are one slip of a typist or reader, not two; it is computed bit-parallel so that a formulary of tens
 * of thousands of names costs milliseconds per printed name.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vlm::drug_validator {

/** One string prepared for comparison with many others (Myers 1999, with the transposition term and blocks of Hyyro
 * 2003). */
class EditPattern {
  public:
    explicit EditPattern(std::u32string_view pattern);

    /** OSA distance to @p text: insertions, deletions, substitutions and swaps of neighbours each cost 1. O(|text| *
     * blocks). */
    std::size_t distance(std::u32string_view text) const;

    std::size_t size() const noexcept { return size_; }

  private:
    const std::uint64_t* row(char32_t c) const;

    std::size_t size_;
    std::size_t blocks_;
    std::u32string alphabet_;           ///< sorted distinct characters of the pattern
    std::vector<std::uint64_t> masks_;  ///< blocks_ words for each character, then blocks_ zeros for all others
};

/** OSA distance of two strings of any length. */
std::size_t edit_distance(std::u32string_view a, std::u32string_view b);

/** One edit: the characters [begin, end) of the first string; empty where the second string has one more. */
struct EditPlace {
    std::size_t begin = 0;
    std::size_t end = 0;
};

/** The edits of a shortest OSA alignment of @p a with @p b, last first; as many as edit_distance(a, b). O(|a| |b|) time
 * and memory, so for names only. */
std::vector<EditPlace> edit_places(std::u32string_view a, std::u32string_view b);

/** Distance over the longer length: 0 equal, 1 nothing in common; two empty strings are equal. */
double normalized_distance(std::size_t edits, std::size_t length_a, std::size_t length_b);

}  // namespace vlm::drug_validator
