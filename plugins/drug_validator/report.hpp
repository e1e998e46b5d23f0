/** @file report.hpp
 *  The result as JSON, as docs/results.schema.json describes it. Apart from plugin.cpp the only file that needs the
 * JSON library.
 */
#pragma once
#include <nlohmann/json.hpp>
#include <vector>

#include "validator.hpp"

namespace vlm::drug_validator {

/** `{"drugs": [{"printed", "name", "dosage", "printed_dosage", "confidence", "status", "candidates": [{"name",
 * "distance"}], "per_dose": {"value", "unit"}, "times_per_day", "days", "as_needed", "form", "release", "box": [left,
 * top, right, bottom], "image", "warnings": [{"code", "en", "ko"}]}]}`. What was not read is null. Texts are valid
 * UTF-8 whatever was generated. */
nlohmann::json to_json(const std::vector<DrugFinding>& drugs);

}  // namespace vlm::drug_validator
