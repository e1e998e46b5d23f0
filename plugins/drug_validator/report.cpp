/** @file report.cpp
 *  Generated text may be cut inside a character, and the JSON library refuses such bytes, so texts are repaired on the
 * way.
 */
#include "report.hpp"

#include "text.hpp"

namespace vlm::drug_validator {
namespace {

using nlohmann::json;

json text(const std::string& value) {
    return encode_utf8(decode_utf8(value));
}
json text_or_null(const std::string& value) {
    return value.empty() ? json() : text(value);
}

template <typename T>
json value_or_null(const std::optional<T>& value) {
    return value ? json(*value) : json();
}

json drug_json(const DrugFinding& d) {
    json candidates = json::array();
    for (const Candidate& c : d.candidates) candidates.push_back({{"name", text(c.name)}, {"distance", c.distance}});
    json warnings = json::array();
    for (const Warning& w : d.warnings) warnings.push_back({{"code", w.code}, {"en", text(w.en)}, {"ko", text(w.ko)}});
    const auto& dose = d.schedule.per_dose;
    return {{"printed", text(d.printed)},
            {"also_printed", text_or_null(d.also_printed)},
            {"name", d.name ? text(*d.name) : json()},
            {"dosage", d.dosage ? text(*d.dosage) : json()},
            {"printed_dosage", text_or_null(d.printed_dosage)},
            {"confidence", d.confidence},
            {"reading_probability", value_or_null(d.reading_probability)},
            {"edit_probability", value_or_null(d.edit_probability)},
            {"status", std::string(status_name(d.status))},
            {"candidates", std::move(candidates)},
            {"per_dose", dose ? json{{"value", dose->value}, {"unit", text_or_null(dose->unit)}} : json()},
            {"times_per_day", value_or_null(d.schedule.times_per_day)},
            {"days", value_or_null(d.schedule.days)},
            {"as_needed", d.schedule.as_needed},
            {"form", text_or_null(d.form)},
            {"release", text_or_null(d.release)},
            {"box", value_or_null(d.box)},
            {"image", d.image},
            {"warnings", std::move(warnings)}};
}

}  // namespace

json to_json(const std::vector<DrugFinding>& drugs) {
    json list = json::array();
    for (const DrugFinding& d : drugs) list.push_back(drug_json(d));
    return {{"drugs", std::move(list)}};
}

}  // namespace vlm::drug_validator
