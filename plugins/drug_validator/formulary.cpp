/** @file formulary.cpp
 *  The CSV reader is strict where RFC 4180 is (quotes) and lenient where spreadsheets differ (line ends, byte order
 * mark, column order).
 */
#include "formulary.hpp"

#include <algorithm>
#include <array>
#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <utility>

namespace vlm::drug_validator {
namespace {

constexpr std::streamoff kMaxFileBytes = std::streamoff{64} << 20;
constexpr std::size_t kMaxNameBytes = 512;

[[noreturn]] void fail(const std::string& source, std::size_t line, const std::string& message) {
    throw ConfigError(source + ":" + std::to_string(line) + ": " + message);
}

std::vector<std::string> split_list(std::string_view field) {
    std::vector<std::string> out;
    for (;;) {
        const std::size_t bar = field.find('|');
        if (const std::string_view item = trim(field.substr(0, bar)); !item.empty()) out.emplace_back(item);
        if (bar == std::string_view::npos) return out;
        field.remove_prefix(bar + 1);
    }
}

/** Where each needed column is; a missing one is an error that quotes the header. */
class Header {
  public:
    Header(const CsvRecord& record, const std::string& source) : source_(source), line_(record.line) {
        for (std::size_t i = 0; i < record.fields.size(); ++i) {
            const std::string key = fold_to_utf8(trim(record.fields[i]));
            if (!key.empty() && !columns_.emplace(key, i).second)
                fail(source, line_, "column \"" + key + "\" is there twice; keep one");
            found_ += (found_.empty() ? "" : ",") + key;
        }
    }

    std::optional<std::size_t> find(const std::string& column) const {
        const auto it = columns_.find(column);
        return it == columns_.end() ? std::nullopt : std::optional(it->second);
    }

    std::size_t require(const std::string& column) const {
        if (const auto index = find(column)) return *index;
        fail(source_, line_,
             "the header has no column \"" + column + "\" (found: " + found_ + "); add it to the first line");
    }

  private:
    std::string source_;
    std::size_t line_;
    std::map<std::string, std::size_t> columns_;
    std::string found_;
};

std::vector<CsvRecord> parse_table(std::string_view text, const std::string& source) {
    std::vector<CsvRecord> records = parse_csv(text, source);
    if (records.empty()) fail(source, 1, "the file is empty; expected a header line with column names");
    const std::size_t width = records[0].fields.size();
    for (const CsvRecord& r : records)
        if (r.fields.size() != width)
            fail(source, r.line,
                 "found " + std::to_string(r.fields.size()) + " fields, expected " + std::to_string(width) +
                     " as in the header; put fields that hold a comma in double quotes");
    return records;
}

std::string read_name(const CsvRecord& record, std::size_t column, const std::string& source) {
    std::string name(trim(record.fields[column]));
    if (name.size() > kMaxNameBytes)
        fail(source, record.line, "a name of " + std::to_string(name.size()) + " bytes; at most 512 are allowed");
    return name;
}

void add_unique(std::vector<std::string>& to, std::string value) {
    if (!value.empty() && std::find(to.begin(), to.end(), value) == to.end()) to.push_back(std::move(value));
}

}  // namespace

std::vector<CsvRecord> parse_csv(std::string_view text, const std::string& source) {
    if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
    if (const std::size_t bad = find_invalid_utf8(text); bad != std::string_view::npos)
        fail(source,
             1 + static_cast<std::size_t>(
                     std::count(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(bad), '\n')),
             "malformed UTF-8; save the file as UTF-8");
    std::vector<CsvRecord> records;
    std::size_t line = 1;
    std::size_t pos = 0;
    while (pos < text.size()) {
        CsvRecord record{{}, line};
        for (;;) {
            std::string field;
            if (pos < text.size() && text[pos] == '"') {
                const std::size_t opened = line;
                for (++pos;; ++pos) {
                    if (pos >= text.size())
                        fail(source, opened, "a quoted field is never closed; add the closing double quote");
                    if (text[pos] == '"') {
                        if (pos + 1 >= text.size() || text[pos + 1] != '"') break;
                        ++pos;
                    }
                    if (text[pos] == '\n') ++line;
                    field.push_back(text[pos]);
                }
                ++pos;
                if (pos < text.size() && text[pos] != ',' && text[pos] != '\n' && text[pos] != '\r')
                    fail(source, line,
                         std::string("found '") + text[pos] +
                             "' after a closing quote; expected a comma or the end of the line");
            } else {
                const std::size_t end = std::min(text.find_first_of(",\r\n\"", pos), text.size());
                if (end < text.size() && text[end] == '"')
                    fail(source, line,
                         "a double quote inside an unquoted field; quote the whole field and double the inner quote");
                field = text.substr(pos, end - pos);
                pos = end;
            }
            record.fields.push_back(std::move(field));
            if (pos < text.size() && text[pos] == ',') {
                ++pos;
                continue;
            }
            break;
        }
        if (pos < text.size()) pos += text.substr(pos).starts_with("\r\n") ? 2 : 1;
        ++line;
        if (record.fields.size() != 1 || !trim(record.fields[0]).empty()) records.push_back(std::move(record));
    }
    return records;
}

Formulary parse_formulary(std::string_view text, const std::string& source) {
    const std::vector<CsvRecord> records = parse_table(text, source);
    const Header header(records[0], source);
    const std::size_t name_at = header.require("name");
    const std::size_t korean_at = header.require("name_ko");
    const std::size_t form_at = header.require("form");
    const std::size_t strengths_at = header.require("strengths");
    std::vector<std::size_t> alias_columns;
    for (const char* column : {"aliases", "synonyms", "brands", "brand_names"})
        if (const auto index = header.find(column)) alias_columns.push_back(*index);

    Formulary out;
    std::map<std::u32string, std::size_t> by_key;
    std::map<std::pair<std::u32string, std::string>, std::size_t> line_of;
    for (std::size_t r = 1; r < records.size(); ++r) {
        const CsvRecord& record = records[r];
        std::string name = read_name(record, name_at, source);
        const std::u32string key = match_key(name);
        if (key.empty())
            fail(source, record.line,
                 "column \"name\" holds no letters (found \"" + name + "\"); every row needs a drug name");
        const std::string form(trim(record.fields[form_at]));
        if (const auto [it, fresh] = line_of.emplace(std::pair(key, form), record.line); !fresh)
            fail(source, record.line,
                 "\"" + name + "\" with form \"" + form + "\" is already on line " + std::to_string(it->second) +
                     "; keep one row with all strengths");
        const auto [it, fresh] = by_key.emplace(key, out.drugs.size());
        if (fresh)
            out.drugs.push_back({.name = std::move(name), .names_ko = {}, .forms = {}, .strengths = {}, .aliases = {}});
        Drug& drug = out.drugs[it->second];
        add_unique(drug.names_ko, read_name(record, korean_at, source));
        add_unique(drug.forms, form);
        for (const std::size_t column : alias_columns)
            for (std::string& alias : split_list(record.fields[column])) add_unique(drug.aliases, std::move(alias));
        for (std::string& strength : split_list(record.fields[strengths_at])) {
            const std::optional<Dosage> dosage = parse_dosage(strength);
            if (!dosage)
                fail(source, record.line,
                     "column \"strengths\": \"" + strength +
                         "\" is no strength; expected a number and a unit such as \"2.5 mg\", several between \"|\"");
            drug.strengths.push_back({std::move(strength), *dosage});
        }
    }
    if (out.drugs.empty()) fail(source, 1, "the file has a header but no drugs; add at least one row");
    return out;
}

std::vector<OtherName> parse_other_names(std::string_view text, const std::string& source) {
    const std::vector<CsvRecord> records = parse_table(text, source);
    const Header header(records[0], source);
    const std::size_t name_at = header.require("name");
    const std::size_t korean_at = header.require("name_ko");
    std::vector<OtherName> out;
    for (std::size_t r = 1; r < records.size(); ++r)
        out.push_back({read_name(records[r], name_at, source), read_name(records[r], korean_at, source)});
    return out;
}

std::string read_text_file(const std::string& path) {
    std::error_code failure;
    if (std::filesystem::exists(path, failure) && !std::filesystem::is_regular_file(path, failure))
        throw ConfigError(path + ": is no regular file; expected a CSV file");  // a pipe would be waited for
    std::ifstream file(path, std::ios::binary | std::ios::ate);
    const std::streamoff size = file ? static_cast<std::streamoff>(file.tellg()) : -1;
    if (size < 0) throw ConfigError(path + ": cannot be read; check that the file is there and readable");
    if (size > kMaxFileBytes)
        throw ConfigError(path + ": " + std::to_string(size) + " bytes; at most 67108864 (64 MiB) are read");
    std::string text(static_cast<std::size_t>(size), '\0');
    file.seekg(0);
    if (!file.read(text.data(), size)) throw ConfigError(path + ": reading failed; is it a regular file?");
    return text;
}

}  // namespace vlm::drug_validator
