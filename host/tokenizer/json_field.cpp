/** @file json_field.cpp
 *  Messages repeat only a short excerpt of what was found: a file may hold megabytes where a number was expected.
 */
#include "host/tokenizer/json_field.hpp"

#include <fstream>

#include "host/base/error.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

constexpr std::uintmax_t kLargestFile = 1u << 30;
constexpr int kDeepestJson = 256;

std::string excerpt(const nlohmann::json& value) {
    if (value.is_structured() || value.is_null()) return value.type_name();
    std::string text = value.dump(-1, ' ', true);  // Escaped to ASCII, so that cutting it leaves a valid text.
    if (text.size() > 60) text = text.substr(0, 60) + "...";
    return std::string(value.type_name()) + " " + text;
}

}  // namespace

void JsonField::fail(const std::string& problem) const {
    throw invalid_argument(where() + ": " + problem);
}

void JsonField::wrong_type(const char* expected) const {
    fail("found " + excerpt(*value_) + ", expected " + expected);
}

void JsonField::expect_object() const {
    if (!value_->is_object()) wrong_type("an object");
}

JsonField JsonField::at(const std::string& key) const {
    expect_object();
    const auto it = value_->find(key);
    if (it == value_->end()) fail("the field \"" + key + "\" is missing");
    return {*it, file_, path_.empty() ? key : path_ + "." + key};
}

std::optional<JsonField> JsonField::find(const std::string& key) const {
    expect_object();
    const auto it = value_->find(key);
    if (it == value_->end() || it->is_null()) return std::nullopt;
    return JsonField(*it, file_, path_.empty() ? key : path_ + "." + key);
}

JsonField JsonField::element(std::size_t index) const {
    return {(*value_)[index], file_, path_ + "[" + std::to_string(index) + "]"};
}

std::size_t JsonField::size() const {
    if (!value_->is_array()) wrong_type("an array");
    return value_->size();
}

std::string JsonField::string() const {
    if (!value_->is_string()) wrong_type("a string");
    return value_->get<std::string>();
}

bool JsonField::boolean() const {
    if (!value_->is_boolean()) wrong_type("true or false");
    return value_->get<bool>();
}

double JsonField::number() const {
    if (!value_->is_number()) wrong_type("a number");
    return value_->get<double>();
}

std::int64_t JsonField::integer(std::int64_t low, std::int64_t high) const {
    const bool fits = value_->is_number_unsigned()
                          ? value_->get<std::uint64_t>() <= static_cast<std::uint64_t>(INT64_MAX)
                          : value_->is_number_integer();
    if (!fits || value_->get<std::int64_t>() < low || value_->get<std::int64_t>() > high) {
        wrong_type(("an integer from " + std::to_string(low) + " to " + std::to_string(high)).c_str());
    }
    return value_->get<std::int64_t>();
}

char32_t JsonField::character() const {
    const std::string text = string();
    std::size_t pos = 0;
    if (text.empty() || sequence_length(text[0]) != text.size()) wrong_type("a string of one character");
    return next_code_point(text, pos);
}

bool JsonField::boolean_or(const std::string& key, bool fallback) const {
    const auto field = find(key);
    return field ? field->boolean() : fallback;
}

std::string read_file(const std::filesystem::path& path) {
    std::error_code code;
    const std::uintmax_t size = std::filesystem::file_size(path, code);
    std::ifstream in(path, std::ios::binary);
    if (code || !in)
        throw not_found(path.string() + ": cannot be read" + (code ? ": " + code.message() : std::string()));
    if (size > kLargestFile) {
        throw resource_exhausted(path.string() + ": has " + std::to_string(size) + " bytes, expected at most 1 GiB");
    }
    std::string text(static_cast<std::size_t>(size), '\0');
    in.read(text.data(), static_cast<std::streamsize>(size));
    text.resize(static_cast<std::size_t>(in.gcount()));
    return text;
}

void check_json_depth(const std::string& text, const std::string& file) {
    int depth = 0;
    bool quoted = false;
    for (std::size_t i = 0; i < text.size(); ++i) {
        const char c = text[i];
        if (quoted && c == '\\') {
            ++i;
        } else if (c == '"') {
            quoted = !quoted;
        } else if (!quoted && (c == '[' || c == '{')) {
            if (++depth > kDeepestJson) {
                throw invalid_argument(file + ": nests deeper than " + std::to_string(kDeepestJson) + " at byte " +
                                       std::to_string(i));
            }
        } else if (!quoted && (c == ']' || c == '}')) {
            --depth;
        }
    }
}

nlohmann::json parse_json(const std::string& text, const std::string& file) {
    check_json_depth(text, file);
    try {
        return nlohmann::json::parse(text);
    } catch (const nlohmann::json::exception& e) {
        std::string what = e.what();  // "[json.exception.parse_error.101] parse error at line 1, column 2: ..."
        if (const auto end = what.find("] "); end != std::string::npos) what.erase(0, end + 2);
        throw invalid_argument(file + ": is not valid JSON: " + what);
    }
}

}  // namespace vlm::tok
