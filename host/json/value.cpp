/** @file value.cpp
 *  Reading values out of a Document. Paths are computed only when a message needs one, so a view stays two words.
 */
#include <algorithm>
#include <cctype>
#include <cmath>

#include "host/json/document.hpp"
#include "host/json/nearest_name.hpp"
#include "host/json/tree.hpp"
#include "host/json/writer.hpp"

namespace vlm::json {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int64_t kInt64Min = std::numeric_limits<int64_t>::min();
constexpr int64_t kInt64Max = std::numeric_limits<int64_t>::max();

/** Keys that can stand in a dotted path as they are. */
bool is_plain_key(std::string_view key) {
    return !key.empty() && std::all_of(key.begin(), key.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '-' || c == '/';
    });
}

std::string join(std::span<const std::string_view> names) {
    std::string text;
    for (const std::string_view name : names) {
        if (!text.empty()) text += ", ";
        text += is_plain_key(name) ? std::string(name) : quote(name);
    }
    return text.empty() ? "none" : text;
}

std::string range_text(const std::string& what, bool has_min, const std::string& min, bool has_max,
                       const std::string& max) {
    if (has_min && has_max) return what + " from " + min + " to " + max;
    if (has_min) return what + " of at least " + min;
    if (has_max) return what + " of at most " + max;
    return what;
}

std::string_view text_of(double nonfinite) {
    return std::isnan(nonfinite) ? "NaN" : nonfinite > 0 ? "Infinity" : "-Infinity";
}

void write_value(Writer& writer, const Tree& tree, uint32_t index) {
    const Node& node = tree.nodes[index];
    switch (node.kind) {
        case Kind::null:
            writer.value(nullptr);
            return;
        case Kind::boolean:
            writer.value(node.bits != 0);
            return;
        case Kind::integer:
            if (node.above_int64) {
                writer.value(node.bits);
            } else {
                writer.value(static_cast<int64_t>(node.bits));
            }
            return;
        case Kind::number:
            // As text, so that who wants a number here says what was found; null would stand for "use the default".
            if (std::isfinite(node.number))
                writer.value(node.number);
            else
                writer.value(text_of(node.number));
            return;
        case Kind::string:
            writer.value(tree.slice(node.extent));
            return;
        case Kind::array:
            writer.begin_array();
            for (const uint32_t child : tree.in_order(node)) write_value(writer, tree, child);
            writer.end_array();
            return;
        case Kind::object:
            writer.begin_object();
            for (const uint32_t child : tree.in_order(node)) {
                writer.key(tree.key_of(child));
                write_value(writer, tree, child);
            }
            writer.end_object();
            return;
    }
}

/** What a message says was found: scalars as they are, containers by their kind. */
std::string describe(const Tree& tree, const Node& node) {
    switch (node.kind) {
        case Kind::null:
            return "null";
        case Kind::boolean:
            return node.bits != 0 ? "true" : "false";
        case Kind::integer:
            return node.above_int64 ? std::to_string(node.bits) : std::to_string(static_cast<int64_t>(node.bits));
        case Kind::number:
            if (std::isfinite(node.number)) return number_text(node.number);
            return std::string(text_of(node.number));
        case Kind::string:
            return "the string " + quote_short(tree.slice(node.extent));
        case Kind::array:
            return "an array";
        case Kind::object:
            return "an object";
    }
    return "?";
}

/** The value as a 64-bit integer if it is one, also when it was written with a fraction of zero or an exponent. */
std::optional<int64_t> exact_int(const Node& node) {
    if (node.kind == Kind::integer && !node.above_int64) return static_cast<int64_t>(node.bits);
    if (node.kind != Kind::number || std::trunc(node.number) != node.number) return std::nullopt;
    constexpr double kTwoTo63 = 9223372036854775808.0;
    if (node.number < -kTwoTo63 || node.number >= kTwoTo63) return std::nullopt;
    return static_cast<int64_t>(node.number);
}

}  // namespace

std::string path_of(const Tree& tree, uint32_t node) {
    std::vector<uint32_t> chain;
    for (; node != 0; node = tree.nodes[node].parent) chain.push_back(node);
    std::string path;
    for (auto it = chain.rbegin(); it != chain.rend(); ++it) {
        const Node& parent = tree.nodes[tree.nodes[*it].parent];
        if (parent.kind == Kind::array) {
            // Counted, because the parser asks for paths while the array is still open.
            const uint32_t array = tree.nodes[*it].parent;
            const auto is_sibling = [array](const Node& other) { return other.parent == array; };
            const auto first = tree.nodes.begin() + array + 1;
            path += '[' + std::to_string(std::count_if(first, tree.nodes.begin() + *it, is_sibling)) + ']';
            continue;
        }
        const std::string_view key = tree.key_of(*it);
        if (is_plain_key(key)) {
            path += (path.empty() ? "" : ".") + std::string(key);
        } else {
            path += '[' + quote_short(key) + ']';
        }
    }
    return path;
}

Error error_at(const Tree& tree, uint32_t line, const std::string& path, const std::string& message) {
    return invalid_argument(tree.name + ':' + std::to_string(line) + ": " + (path.empty() ? "" : path + ": ") +
                            message);
}

Kind Value::kind() const noexcept {
    return tree_->nodes[index_].kind;
}
int Value::line() const noexcept {
    return static_cast<int>(tree_->nodes[index_].line);
}
int Value::column() const noexcept {
    return static_cast<int>(tree_->nodes[index_].column);
}
std::string Value::path() const {
    return path_of(*tree_, index_);
}
const std::string& Value::file() const noexcept {
    return tree_->name;
}

std::string Value::where() const {
    const std::string here = path();
    return tree_->name + ':' + std::to_string(line()) + ": " + (here.empty() ? "" : here + ": ");
}

Error Value::error(const std::string& message) const {
    return invalid_argument(where() + message);
}

Error Value::wrong_type(const std::string& expected) const {
    return error("expected " + expected + ", found " + describe(*tree_, tree_->nodes[index_]));
}

void Value::expect(Kind wanted, const char* name) const {
    if (kind() != wanted) throw wrong_type(name);
}

std::span<const uint32_t> Value::children() const {
    return tree_->in_order(tree_->nodes[index_]);
}

bool Value::as_bool() const {
    expect(Kind::boolean, "true or false");
    return tree_->nodes[index_].bits != 0;
}

int64_t Value::as_int(int64_t min, int64_t max) const {
    const std::optional<int64_t> value = exact_int(tree_->nodes[index_]);
    if (!value || *value < min || *value > max) {
        throw wrong_type(
            range_text("an integer", min != kInt64Min, std::to_string(min), max != kInt64Max, std::to_string(max)));
    }
    return *value;
}

uint64_t Value::as_uint64() const {
    const Node& node = tree_->nodes[index_];
    if (node.kind == Kind::integer && node.above_int64) return node.bits;
    const std::optional<int64_t> value = exact_int(node);
    if (!value || *value < 0) throw wrong_type("an integer from 0 to 18446744073709551615");
    return static_cast<uint64_t>(*value);
}

double Value::as_number(double min, double max) const {
    const Node& node = tree_->nodes[index_];
    double value = 0;
    if (node.kind == Kind::number) value = node.number;
    if (node.kind == Kind::integer) {
        value =
            node.above_int64 ? static_cast<double>(node.bits) : static_cast<double>(static_cast<int64_t>(node.bits));
    }
    const bool limited = min > -kInfinity || max < kInfinity;
    const bool inside = (value >= min && value <= max) || (!limited && std::isnan(value));
    if (!is_number() || !inside) {
        throw wrong_type(range_text("a number", min > -kInfinity, number_text(min), max < kInfinity, number_text(max)));
    }
    return value;
}

std::string_view Value::as_string_view() const {
    expect(Kind::string, "a string");
    return tree_->slice(tree_->nodes[index_].extent);
}

std::string Value::as_one_of(std::span<const std::string_view> allowed) const {
    const std::string_view found = as_string_view();
    if (std::find(allowed.begin(), allowed.end(), found) == allowed.end()) {
        throw error("unknown value " + quote_short(found) + did_you_mean(found, allowed) + " (known: " + join(allowed) +
                    ")");
    }
    return std::string(found);
}

std::vector<Value> Value::as_array() const {
    expect(Kind::array, "an array");
    std::vector<Value> values;
    values.reserve(children().size());
    for (const uint32_t child : children()) values.push_back(Value(tree_, child));
    return values;
}

std::vector<int64_t> Value::as_ints(int64_t min, int64_t max) const {
    std::vector<int64_t> values;
    for (const Value& value : as_array()) values.push_back(value.as_int(min, max));
    return values;
}

std::vector<double> Value::as_numbers() const {
    std::vector<double> values;
    for (const Value& value : as_array()) values.push_back(value.as_number());
    return values;
}

std::vector<std::string> Value::as_strings() const {
    std::vector<std::string> values;
    for (const Value& value : as_array()) values.push_back(value.as_string());
    return values;
}

size_t Value::size() const {
    if (!is_array() && !is_object()) throw wrong_type("an array or an object");
    return children().size();
}

Value Value::at(size_t index) const {
    expect(Kind::array, "an array");
    if (index >= children().size()) {
        throw error("expected at least " + std::to_string(index + 1) + " elements, found " +
                    std::to_string(children().size()));
    }
    return {tree_, children()[index]};
}

std::optional<Value> Value::find(std::string_view key) const {
    expect(Kind::object, "an object");
    const auto sorted = tree_->by_key(tree_->nodes[index_]);
    const auto place = std::lower_bound(sorted.begin(), sorted.end(), key,
                                        [this](uint32_t node, std::string_view k) { return tree_->key_of(node) < k; });
    if (place == sorted.end() || tree_->key_of(*place) != key) return std::nullopt;
    return Value(tree_, *place);
}

std::optional<Value> Value::find_set(std::string_view key) const {
    std::optional<Value> value = find(key);
    if (value && value->is_null()) value.reset();
    return value;
}

Value Value::operator[](std::string_view key) const {
    if (const std::optional<Value> value = find(key)) return *value;
    std::vector<std::string_view> present;
    for (const uint32_t child : children()) present.push_back(tree_->key_of(child));
    std::string message = "the key " + quote_short(key) + " is missing" + did_you_mean(key, present);
    constexpr size_t kMostListed = 30;
    if (present.size() <= kMostListed) message += " (present: " + join(present) + ")";
    throw error(message);
}

bool Value::get_or(std::string_view key, bool otherwise) const {
    const auto value = find_set(key);
    return value ? value->as_bool() : otherwise;
}

double Value::get_or(std::string_view key, double otherwise) const {
    const auto value = find_set(key);
    return value ? value->as_number() : otherwise;
}

std::string Value::get_or(std::string_view key, const char* otherwise) const {
    const auto value = find_set(key);
    return value ? value->as_string() : otherwise;
}

std::vector<std::string> Value::keys() const {
    std::vector<std::string> names;
    for (const auto& [key, value] : members()) names.emplace_back(key);
    return names;
}

std::vector<std::pair<std::string_view, Value>> Value::members() const {
    expect(Kind::object, "an object");
    std::vector<std::pair<std::string_view, Value>> list;
    list.reserve(children().size());
    for (const uint32_t child : children()) list.emplace_back(tree_->key_of(child), Value(tree_, child));
    return list;
}

void Value::check_keys(std::span<const std::string_view> known) const {
    expect(Kind::object, "an object");
    for (const uint32_t child : children()) {
        const std::string_view key = tree_->key_of(child);
        if (std::find(known.begin(), known.end(), key) != known.end()) continue;
        throw error_at(*tree_, tree_->nodes[child].key_line, path_of(*tree_, child),
                       "unknown key" + did_you_mean(key, known) + " (known: " + join(known) + ")");
    }
}

std::string Value::dump() const {
    Writer writer;
    write_value(writer, *tree_, index_);
    return writer.take();
}

}  // namespace vlm::json
