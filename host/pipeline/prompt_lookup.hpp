/** @file prompt_lookup.hpp
 *  Guesses how a text goes on by looking where its last words stood before (prompt lookup decoding, Apoorv Saxena,
 *  2023). Reading a form or quoting a question repeats much of what is there already; a guess costs nothing to make,
 *  and checking several tokens costs about as much as making one, because the weights are read once for all.
 */
#pragma once
#include <cstdint>
#include <span>
#include <vector>

namespace vlm {

/** At most `most` ids that followed the latest earlier occurrence of the last three (else two) ids of `history`; empty
 * when there is none. */
std::vector<int32_t> look_up(std::span<const int32_t> history, int64_t most);

/** Whether the two best of `scores` are so close that rounding decides between them: a pass over several rows may add
 *  in another order than a pass over one. Scores that are not numbers are close. */
bool nearly_tied(std::span<const float> scores);

}  // namespace vlm
