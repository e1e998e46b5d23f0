/** @file evidence.hpp
 *  Whether a spelling that differs from the formulary's is a misreading. One edit is what separates a misread listed
 * name from another drug or an invented one, so the spelling alone cannot tell; the model's own doubt at exactly the
 * differing characters can. A confident reading of a different name is a different name.
 */
#pragma once
#include <optional>
#include <vector>

#include "confidence.hpp"
#include "extract.hpp"
#include "match.hpp"

namespace vlm::drug_validator {

/** The highest, over all edits of @p slips, of the lowest token probability at that edit: low only when every edit was
 * doubted. @p name is the field in the answer @p text with @p tokens. Nothing when an edit cannot be placed in the
 * answer or no token is there: then nothing speaks for a misreading. */
std::optional<double> edit_probability(const std::vector<Slip>& slips, const Field& name, std::string_view text,
                                       const std::vector<Token>& tokens);

/** The lowest token probability inside a field; nothing without tokens there. */
std::optional<double> lowest_probability(const Field& field, const std::vector<Token>& tokens);

}  // namespace vlm::drug_validator
