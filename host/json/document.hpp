/** @file document.hpp
 *  JSON as it is read from people and from the Hub: every value knows its file, line and path, so that any reader of a
 * manifest or config can say `medical.json:12: pipeline.vision.dtpye: unknown key; did you mean "dtype"?` without
 * carrying names about.
 *
 *  The parser beneath (nlohmann-json) keeps no positions; it is driven through its SAX interface and the tree here is
 * our own: compact, read-only, with duplicate keys refused (the JSON RFC leaves open which one counts, and a manifest
 * with two values for one key is a mistake). All getters throw vlm::Error with INVALID_ARGUMENT and the position.
 */
#pragma once
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/base/error.hpp"

namespace vlm::json {

struct Tree;

/** What a value is. `integer` covers -2^63 … 2^64-1 written without fraction or exponent; all else is `number`. */
enum class Kind : uint8_t { null, boolean, integer, number, string, array, object };

/** How strictly to read. */
struct ParseOptions {
    /** Accept the words NaN, Infinity and -Infinity, which Python's json module writes (some config.json have them). */
    bool allow_nonfinite = false;
    /** Deepest nesting that is accepted; at most 512. */
    int max_depth = 64;
    /** Longest text in bytes; at most 1 GiB. The largest tokenizer.json in use are below 40 MB. */
    uint64_t max_bytes = uint64_t{256} << 20;
};

/** A view of one value: two words, copied freely, valid as long as any copy of its Document. */
class Value {
  public:
    Kind kind() const noexcept;
    bool is_null() const noexcept { return kind() == Kind::null; }
    bool is_bool() const noexcept { return kind() == Kind::boolean; }
    bool is_int() const noexcept { return kind() == Kind::integer; }
    bool is_number() const noexcept { return kind() == Kind::integer || kind() == Kind::number; }
    bool is_string() const noexcept { return kind() == Kind::string; }
    bool is_array() const noexcept { return kind() == Kind::array; }
    bool is_object() const noexcept { return kind() == Kind::object; }

    bool as_bool() const;

    /** An integer within [min, max]; a number without a fraction (`4096.0`, `1e3`) is one too. */
    int64_t as_int(int64_t min = std::numeric_limits<int64_t>::min(),
                   int64_t max = std::numeric_limits<int64_t>::max()) const;

    /** A whole number from 0 to 2^64-1 (seeds, file sizes). */
    uint64_t as_uint64() const;

    /** A number within [min, max]. NaN (possible only with allow_nonfinite) passes no range, but passes when none is
     * given. */
    double as_number(double min = -std::numeric_limits<double>::infinity(),
                     double max = std::numeric_limits<double>::infinity()) const;

    std::string as_string() const { return std::string(as_string_view()); }
    /** Lives as long as the document. May contain NUL characters (`\u0000`). */
    std::string_view as_string_view() const;

    /** A string that is one of `allowed`; the error names the nearest. */
    std::string as_one_of(std::span<const std::string_view> allowed) const;
    std::string as_one_of(std::initializer_list<std::string_view> allowed) const {
        return as_one_of(std::span(allowed.begin(), allowed.size()));
    }

    /** The elements of an array. */
    std::vector<Value> as_array() const;
    std::vector<int64_t> as_ints(int64_t min = std::numeric_limits<int64_t>::min(),
                                 int64_t max = std::numeric_limits<int64_t>::max()) const;
    std::vector<double> as_numbers() const;
    std::vector<std::string> as_strings() const;

    /** Number of elements or members; the value must be an array or object. */
    size_t size() const;
    /** Element `index` of an array; beyond the end is an error. */
    Value at(size_t index) const;

    /** Member `key` of an object; a missing key is an error that names those that are there. */
    Value operator[](std::string_view key) const;
    Value operator[](int) const = delete;  // a literal 0 would be taken for a null pointer to text
    /** Member `key` of an object if it is there (it may be null). The value must be an object. */
    std::optional<Value> find(std::string_view key) const;
    /** As find, but a member that is null counts as absent, as it does in config.json files. */
    std::optional<Value> find_set(std::string_view key) const;
    bool contains(std::string_view key) const { return find(key).has_value(); }

    /** Member `key`, or the default when it is absent or null. Of another type it is an error. */
    bool get_or(std::string_view key, bool otherwise) const;
    double get_or(std::string_view key, double otherwise) const;
    /** An integer that must fit the type of the default. */
    template <std::integral T>
    requires(!std::same_as<T, bool>) T get_or(std::string_view key, T otherwise)
    const {
        const auto value = find_set(key);
        if (!value) return otherwise;
        if constexpr (std::same_as<T, uint64_t>) {
            return value->as_uint64();
        } else {
            return static_cast<T>(value->as_int(std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
        }
    }
    std::string get_or(std::string_view key, const char* otherwise) const;
    std::string get_or(std::string_view key, const std::string& otherwise) const {
        return get_or(key, otherwise.c_str());
    }

    /** Keys of an object in the order of the file. */
    std::vector<std::string> keys() const;
    /** Keys and values of an object in the order of the file; the keys live as long as the document. */
    std::vector<std::pair<std::string_view, Value>> members() const;

    /** Refuses the first key that is not in `known`, naming the nearest known one. The value must be an object. */
    void check_keys(std::span<const std::string_view> known) const;
    void check_keys(std::initializer_list<std::string_view> known) const {
        check_keys(std::span(known.begin(), known.size()));
    }

    /** This value as JSON text on one line, keys in the order of the file; NaN and infinities become strings. */
    std::string dump() const;

    /** Line (from 1) on which the value begins. */
    int line() const noexcept;
    /** Byte within the line (from 1) at which the value begins. */
    int column() const noexcept;
    /** `pipeline.vision.layers[3]`; empty for the root. Keys that are no plain words are quoted. */
    std::string path() const;
    /** Name of the file as given to the document. */
    const std::string& file() const noexcept;
    /** `file:line: path: `, the beginning of every message. */
    std::string where() const;
    /** An INVALID_ARGUMENT error about this value, to be thrown: `throw value.error("must divide hidden_size")`. */
    Error error(const std::string& message) const;

  private:
    friend class Document;
    Value(const Tree* tree, uint32_t index) : tree_(tree), index_(index) {}
    Error wrong_type(const std::string& expected) const;
    void expect(Kind wanted, const char* name) const;
    std::span<const uint32_t> children() const;

    const Tree* tree_;
    uint32_t index_;
};

/** A JSON text that has been read and checked. Copies share the tree. */
class Document {
  public:
    /** Reads a file. `name` is what messages call it; empty means the path.
     *  @throws Error NOT_FOUND (no such file), INVALID_ARGUMENT (not a regular file, not JSON, duplicate key, invalid
     * UTF-8, too deep), RESOURCE_EXHAUSTED (longer than the limit), each with file and line where there is one. */
    static Document from_file(const std::string& path, const ParseOptions& options = {}, const std::string& name = {});

    /** Reads a text; a UTF-8 byte order mark at its start is skipped. @throws Error as from_file. */
    static Document from_text(std::string_view text, const std::string& name, const ParseOptions& options = {});

    Value root() const noexcept;
    Value operator[](std::string_view key) const { return root()[key]; }
    const std::string& name() const noexcept;

  private:
    explicit Document(std::shared_ptr<const Tree> tree) : tree_(std::move(tree)) {}
    std::shared_ptr<const Tree> tree_;
};

}  // namespace vlm::json
