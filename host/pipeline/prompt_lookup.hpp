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

/** How many tokens to guess in the next step of a sequence, by how its last guesses fared: twice as many after guesses
 * that were all right, as many as were right after others. Where none was right guessing rests, for one step, then two,
 * four and so on, so that a text which only seems to repeat itself costs a row of work in ever fewer steps. */
class GuessLength {
  public:
    /** `most` is never exceeded; 0: never guess. */
    explicit GuessLength(int64_t most);
    /** Most guesses of the step that begins; each call is a step. */
    int64_t next();
    /** Of the `guessed` tokens of that step, at least one, the first `right` were right. */
    void learn(int64_t guessed, int64_t right);

  private:
    int64_t most_, length_;
    int64_t rest_ = 0;       ///< Steps still to pass without guesses.
    int64_t next_rest_ = 1;  ///< How long the next rest is.
};

/** Whether the two best of `scores` are so close that rounding decides between them: a pass over several rows may add
 *  in another order than a pass over one. Scores that are not numbers are close. */
bool nearly_tied(std::span<const float> scores);

}  // namespace vlm
