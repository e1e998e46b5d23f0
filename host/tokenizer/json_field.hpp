/** @file json_field.hpp
 *  Reading configuration files with errors that a person can act on: every value knows its file and its path
 * (`model.merges[12]`), so a refusal names the place, what was found and what was expected. Internal: keeps the JSON
 * library out of the public headers.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

namespace vlm::tok {

/** A value of a parsed file, with where it stands. Valid as long as the document that it was taken from. */
class JsonField {
  public:
    JsonField(const nlohmann::json& value, std::string file, std::string path = "")
        : value_(&value), file_(std::make_shared<const std::string>(std::move(file))), path_(std::move(path)) {}

    const nlohmann::json& json() const { return *value_; }

    /** File and path, for messages. */
    std::string where() const { return *file_ + ": " + (path_.empty() ? "the top level" : path_); }

    /** A member that must be there. @throws Error INVALID_ARGUMENT when absent or when this is no object */
    JsonField at(const std::string& key) const;

    /** A member, or nothing when it is absent or null. @throws Error INVALID_ARGUMENT when this is no object */
    std::optional<JsonField> find(const std::string& key) const;

    /** An element of an array, index below size(). */
    JsonField element(std::size_t index) const;

    /** The length of an array. @throws Error INVALID_ARGUMENT when this is no array */
    std::size_t size() const;

    /** Typed reading. @throws Error INVALID_ARGUMENT naming the place, the type found and the one expected */
    std::string string() const;
    bool boolean() const;
    double number() const;
    std::int64_t integer(std::int64_t low, std::int64_t high) const;
    std::int32_t token_id() const { return static_cast<std::int32_t>(integer(0, INT32_MAX)); }
    char32_t character() const;
    void expect_object() const;

    bool boolean_or(const std::string& key, bool fallback) const;

    /** @throws Error INVALID_ARGUMENT "file: path: problem" always */
    [[noreturn]] void fail(const std::string& problem) const;

  private:
    JsonField(const nlohmann::json& value, std::shared_ptr<const std::string> file, std::string path)
        : value_(&value), file_(std::move(file)), path_(std::move(path)) {}
    [[noreturn]] void wrong_type(const char* expected) const;

    const nlohmann::json* value_;
    std::shared_ptr<const std::string> file_;
    std::string path_;
};

/** Reads a whole file. @throws Error NOT_FOUND, or RESOURCE_EXHAUSTED above 1 GiB */
std::string read_file(const std::filesystem::path& path);

/** @throws Error INVALID_ARGUMENT when arrays and objects nest deeper than 256, which would exhaust the stack where
 * they are copied */
void check_json_depth(const std::string& text, const std::string& file);

/** Parses JSON text. @throws Error INVALID_ARGUMENT with line and column, or as check_json_depth */
nlohmann::json parse_json(const std::string& text, const std::string& file);

}  // namespace vlm::tok
