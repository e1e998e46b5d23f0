/** @file nearest_name.hpp
 *  "Did you mean …?" for every name that a user can mistype: manifest keys, plugin ids, tensor names.
 */
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vlm {

/** Damerau–Levenshtein distance (optimal string alignment: a transposition of neighbours counts once, no piece is
 * edited twice) in bytes, or `limit + 1` when it is above `limit`. Time O(|a|·limit), memory O(|b|). */
size_t edit_distance(std::string_view a, std::string_view b, size_t limit);

/** Up to `count` of the candidates that are nearest to `name`, nearest first (ties in the order given), leaving out
 * those that differ in more than a third of the longer name (but never less than 2 edits, nor whole short names). */
std::vector<std::string> nearest_names(std::string_view name, std::span<const std::string_view> candidates,
                                       size_t count);

/** `; did you mean "x"?` for the nearest candidate, or an empty text when none is near: to be put behind "unknown …".
 */
std::string did_you_mean(std::string_view name, std::span<const std::string_view> candidates);

}  // namespace vlm
