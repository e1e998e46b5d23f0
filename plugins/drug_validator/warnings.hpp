/** @file warnings.hpp
 *  What a pharmacist is told, in English and Korean. Codes are stable, for programs; sentences name what was printed
 * and what to check.
 */
#pragma once
#include <string>
#include <string_view>

namespace vlm::drug_validator {

struct Warning {
    std::string code;
    std::string en;
    std::string ko;
};

enum class WarningCode {
    unlisted,            ///< no formulary name is close enough
    ambiguous,           ///< two names are nearly as close; detail: candidates
    combination,         ///< several substances in one product; detail: printed name
    look_alike,          ///< other formulary names look or sound alike; detail: those names
    inexact_name,        ///< one slip away from the formulary's name; detail: that name
    different_name,      ///< one slip away, but read without doubt there; detail: that name
    row_conflict,        ///< the name in the other language beside it is another; detail: that name
    salt_form,           ///< detail: the salt
    release_form,        ///< detail: the kind of release
    strength_unlisted,   ///< detail: listed strengths
    strength_differs,    ///< a doubtful reading whose strength is none of the drug's; detail: strength read and listed
    dosage_missing,      ///< no strength was read
    dosage_unreadable,   ///< detail: what was read in its place
    dosage_repaired,     ///< letters were read as digits; detail: the strength
    dosage_conflict,     ///< two strengths for one drug; detail: the other one
    low_confidence,      ///< detail: confidence and threshold
    confidence_unknown,  ///< the model gave no log-probabilities
};

/** The stable code, "strength_unlisted". */
std::string_view code_name(WarningCode code);

/** A warning about @p subject (the printed name, or the strength) with @p detail put into the sentences. */
Warning make_warning(WarningCode code, std::string_view subject, std::string_view detail = {});

}  // namespace vlm::drug_validator
