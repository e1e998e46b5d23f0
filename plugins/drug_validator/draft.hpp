/** @file draft.hpp
 *  What was gathered about one drug before it is judged. Forms print a drug in two languages side by side, and
 * overlapping cuts read a row twice; drafts of one printed drug are put together here, before strengths and confidence
 * are judged, so that what one of them lacks the other can give.
 */
#pragma once
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "validator.hpp"

namespace vlm::drug_validator {

struct Draft {
    MatchResult match;
    DrugFinding found;
    std::optional<Dosage> dosage;
    std::string other_dosage;           ///< a second, different strength
    std::optional<double> probability;  ///< the lowest of the rows that told name or strength
    std::optional<double> head;         ///< the lowest confidence of the model's own head
    std::optional<double> lowest;       ///< the least sure token of the name
    std::optional<std::size_t> nearly;  ///< one slip from this drug, but the reading shows no doubt there
    std::string conflict;               ///< what the other name of the row says instead
    std::size_t row = 0;                ///< answer that the name was read in
    std::optional<Box> row_box;         ///< and its place

    /** Takes the reading probability of @p spans of a row into account. */
    void add_evidence(const Row& source, const std::vector<Span>& spans);

    /** Takes a strength; @p text is what stands in its field. */
    void add_dosage(const std::string& text, std::optional<Dosage> parsed);
};

/** Grows @p box so that it holds @p other. */
void unite(std::optional<Box>& box, const std::optional<Box>& other);

/** Keeps what @p to has and takes the rest from @p from. */
void fill_missing(Schedule& to, const Schedule& from);

/** Puts together drafts of one printed drug: rows read twice, and the Korean and English name of one row.
 *
 *  The two names of a row (different scripts, same strength or one without): equal drugs become one with the surer
 * reading; a garbled second name whose nearest drug is the first one's is taken in by it; a second name that was read
 * with probability @p certain or more and is *not* the first one's speaks against it, and neither is accepted; two
 * unlisted names become one. Two exact names of different drugs stay two, each with the other as its conflict. When
 * both name one drug with one number but different units (10 mg, 10 mcg), a unit was misread: the surer strength stays
 * and the other is reported. */
void merge_drafts(std::vector<Draft>& drafts, double certain);

}  // namespace vlm::drug_validator
