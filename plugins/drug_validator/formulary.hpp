/** @file formulary.hpp
 *  The hospital's own list of drugs, from a CSV file (RFC 4180) that a pharmacist keeps in a spreadsheet. Every mistake
 * in it is refused with its line, because a drug that is silently skipped would later look like an unlisted one.
 */
#pragma once
#include <cstddef>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "dosage.hpp"

namespace vlm::drug_validator {

/** A formulary or option that cannot be used; the message names file, line, what was found and what was expected. */
class ConfigError : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/** One listed strength: as the formulary spells it, and parsed. */
struct Strength {
    std::string text;
    Dosage dosage;
};

/** One drug. Rows with the same name (a tablet and a syrup) are one drug with the strengths of both. */
struct Drug {
    std::string name;                   ///< canonical name, the one that answers carry
    std::vector<std::string> names_ko;  ///< Korean names
    std::vector<std::string> forms;
    std::vector<Strength> strengths;
    std::vector<std::string> aliases;  ///< other names of the same drug: synonyms, spellings, brands
};

struct Formulary {
    std::vector<Drug> drugs;
};

/** A drug name outside the formulary, so that a misread name that is as near to it is not taken for a listed one. */
struct OtherName {
    std::string name;
    std::string name_ko;
};

/** One CSV record and the line it starts on (1-based). */
struct CsvRecord {
    std::vector<std::string> fields;
    std::size_t line = 0;
};

/** Splits CSV text by RFC 4180: quoted fields with doubled quotes, line breaks in quotes, CRLF, LF or CR, a UTF-8 byte
 * order mark. Blank lines are skipped. Throws ConfigError on stray or open quotes and on malformed UTF-8. @p source
 * names the file in messages. */
std::vector<CsvRecord> parse_csv(std::string_view text, const std::string& source);

/** Reads columns name, name_ko, form, strengths ("2.5 mg|5 mg"), in any order; the optional columns aliases, synonyms,
 * brands and brand_names hold more names between "|". Other columns are ignored. Throws ConfigError. */
Formulary parse_formulary(std::string_view text, const std::string& source);

/** Reads columns name and name_ko. Throws ConfigError. */
std::vector<OtherName> parse_other_names(std::string_view text, const std::string& source);

/** The file's bytes; at most 64 MiB. Throws ConfigError when it cannot be read or is larger. */
std::string read_text_file(const std::string& path);

}  // namespace vlm::drug_validator
