/** @file extract.hpp
 *  From generated text to fields. The shipped model writes tagged fields (Donut, Kim et al., ECCV 2022); any other
 * model answers in JSON, in a list or in prose. All of them end as the same fields with their place in the text, so
 * that confidences and warnings do not care.
 */
#pragma once
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace vlm::drug_validator {

/** A value and the bytes of the answer that it was read from (for tagged fields with the tags around it). */
struct Field {
    std::string text;
    std::size_t begin = 0;
    std::size_t end = 0;

    bool empty() const { return text.empty(); }
};

/** The fields of one drug; without a name they belong to the drug before. */
struct DrugFields {
    Field name;
    Field dose;
    Field per;
    Field times;
    Field days;
    Field schedule;          ///< free text that may hold amount, frequency and days together
    bool tentative = false;  ///< words of free text without a strength: a drug only if they are exactly a known name
};

/** Fields of an answer, in order. Text with `<s_…>` or `<none/>` is read as tagged, text that begins with an object or
 * array as JSON, anything else line by line. Malformed text of each kind gives what could be read; nothing throws. */
std::vector<DrugFields> extract_fields(std::string_view text);

/** Whether @p text holds `<s_…>` or `<none/>`. */
bool is_tagged(std::string_view text);

/** `<s_name>…</s_name><s_dose>…</s_dose><s_per>…<s_times>…<s_days>…`, drugs parted by `<sep/>`; `<none/>` gives
 * nothing. */
std::vector<DrugFields> extract_tagged(std::string_view text);

/** Objects with keys such as name, dosage, frequency, duration at any depth; broken JSON is read as far as it goes. */
std::vector<DrugFields> extract_json(std::string_view text);

/** Name words followed by a strength, schedule after it; Markdown lists and tables, Korean and English prose. */
std::vector<DrugFields> extract_lines(std::string_view text);

}  // namespace vlm::drug_validator
