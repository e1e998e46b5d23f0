/** @file jinja_values.cpp
 *  Prompts are compared byte for byte, so numbers and JSON are written exactly as Python writes them.
 */
#include "host/tokenizer/jinja_values.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "host/base/error.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::jinja {
namespace {

/** repr(float): the shortest digits that read back, plain between 1e-4 and 1e16. */
std::string float_text(double number, bool json) {
    if (std::isnan(number)) return json ? "NaN" : "nan";
    if (std::isinf(number)) return std::string(number < 0 ? "-" : "") + (json ? "Infinity" : "inf");
    const double size = std::abs(number);
    const bool plain = size == 0 || (size >= 1e-4 && size < 1e16);
    char buffer[64];
    const auto result = std::to_chars(buffer, buffer + sizeof buffer, number,
                                      plain ? std::chars_format::fixed : std::chars_format::scientific);
    std::string text(buffer, result.ptr);
    return plain && text.find('.') == std::string::npos ? text + ".0" : text;
}

std::string json_string(const std::string& text) {
    static constexpr char digits[] = "0123456789abcdef";
    std::string out = "\"";
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        switch (c) {
            case '"':
                out += "\\\"";
                break;
            case '\\':
                out += "\\\\";
                break;
            case '\n':
                out += "\\n";
                break;
            case '\r':
                out += "\\r";
                break;
            case '\t':
                out += "\\t";
                break;
            case '\b':
                out += "\\b";
                break;
            case '\f':
                out += "\\f";
                break;
            default:
                if (byte < 0x20) {
                    out += std::string("\\u00") + digits[byte >> 4] + digits[byte & 15];
                } else {
                    out += c;
                }
        }
    }
    return out + "\"";
}

/** repr(str), without the escapes for characters that do not print. */
std::string repr_string(const std::string& text) {
    const char quote = text.find('\'') != std::string::npos && text.find('"') == std::string::npos ? '"' : '\'';
    std::string out(1, quote);
    for (const char c : text) {
        if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else {
            if (c == '\\' || c == quote) out += '\\';
            out += c;
        }
    }
    return out + quote;
}

/** Both spellings of nested values; they differ in strings, constants and layout. */
class Writer {
  public:
    Writer(bool json, std::optional<int> indent) : json_(json), indent_(indent) {}

    void write(const Value& value, int depth) {
        if (depth > 200) throw invalid_argument("chat template: a value is nested too deeply to print");
        if (value.is_array()) {
            write_items(value, depth, '[', ']');
        } else if (value.is_object()) {
            write_items(value, depth, '{', '}');
        } else if (value.is_string()) {
            const auto& text = value.get_ref<const std::string&>();
            out += json_ ? json_string(text) : repr_string(text);
        } else if (value.is_number_float()) {
            out += float_text(value.get<double>(), json_);
        } else if (value.is_number()) {
            out += value.dump();
        } else if (value.is_boolean()) {
            out += json_ ? (value.get<bool>() ? "true" : "false") : (value.get<bool>() ? "True" : "False");
        } else if (value.is_null()) {
            out += json_ ? "null" : "None";
        } else if (json_) {
            throw invalid_argument("chat template: an undefined value cannot be written as JSON");
        } else {
            out += "Undefined";
        }
    }

    std::string out;

  private:
    void new_line(int depth) {
        if (indent_) out += '\n' + std::string(static_cast<std::size_t>(depth * *indent_), ' ');
    }
    void write_items(const Value& value, int depth, char open, char close) {
        out += open;
        bool first = true;
        for (const auto& [key, item] : value.items()) {
            if (!first) out += indent_ ? "," : ", ";
            first = false;
            new_line(depth + 1);
            if (value.is_object()) out += (json_ ? json_string(key) : repr_string(key)) + ": ";
            write(item, depth + 1);
        }
        if (!first) new_line(depth);
        out += close;
    }

    bool json_;
    std::optional<int> indent_;
};

}  // namespace

bool truth(const Value& value) {
    if (value.is_boolean()) return value.get<bool>();
    if (value.is_number_float()) return value.get<double>() != 0;
    if (value.is_number()) return value.get<std::int64_t>() != 0;
    if (value.is_string()) return !value.get_ref<const std::string&>().empty();
    if (value.is_structured()) return !value.empty();
    return false;
}

bool equal(const Value& a, const Value& b) {
    if (is_undefined(a) || is_undefined(b)) return is_undefined(a) && is_undefined(b);
    if (a.is_boolean() && b.is_number()) return Value(static_cast<int>(a.get<bool>())) == b;
    if (b.is_boolean() && a.is_number()) return equal(b, a);
    if (a.is_object() && b.is_object()) {  // Python's dicts compare without order.
        if (a.size() != b.size()) return false;
        return std::all_of(a.items().begin(), a.items().end(), [&](const auto& item) {
            const auto other = b.find(item.key());
            return other != b.end() && equal(item.value(), *other);
        });
    }
    return a == b;
}

std::string to_text(const Value& value) {
    if (value.is_string()) return value.get<std::string>();
    if (is_undefined(value)) return "";
    Writer writer(false, std::nullopt);
    writer.write(value, 0);
    return std::move(writer.out);
}

std::string to_json(const Value& value, std::optional<int> indent) {
    Writer writer(true, indent);
    writer.write(value, 0);
    return std::move(writer.out);
}

std::string type_name(const Value& value) {
    return is_undefined(value) ? "undefined" : value.is_object() ? "dict" : value.type_name();
}

std::vector<std::string_view> characters(std::string_view text) {
    std::vector<std::string_view> out;
    out.reserve(text.size());
    for (std::size_t pos = 0; pos < text.size();) {
        const std::size_t length = tok::sequence_length(text[pos]);
        out.push_back(text.substr(pos, length));
        pos += length;
    }
    return out;
}

Value slice(const Value& value, const Value& begin, const Value& end, const Value& step, const std::string& where) {
    if (!value.is_string() && !value.is_array())
        throw invalid_argument(where + "a " + type_name(value) + " cannot be sliced");
    const std::vector<std::string_view> text =
        value.is_string() ? characters(value.get_ref<const std::string&>()) : std::vector<std::string_view>();
    const auto size = static_cast<std::int64_t>(value.is_string() ? text.size() : value.size());
    const auto bound = [&](const Value& given, std::int64_t fallback, std::int64_t low, std::int64_t high) {
        if (is_undefined(given) || given.is_null()) return fallback;
        if (!given.is_number_integer())
            throw invalid_argument(where + "a slice needs integers, found " + type_name(given));
        const std::int64_t at = given.get<std::int64_t>();
        return std::clamp(at < 0 ? std::max(at, -size - 1) + size : at, low, high);
    };
    std::int64_t stride = 1;
    if (!is_undefined(step) && !step.is_null()) {
        stride = step.is_number_integer() ? step.get<std::int64_t>() : 0;
        if (stride == 0 || stride < -INT32_MAX || stride > INT32_MAX)
            throw invalid_argument(where + "the step of a slice must be a non-zero integer");
    }
    const std::int64_t low = stride > 0 ? 0 : -1, high = stride > 0 ? size : size - 1;
    const std::int64_t first = bound(begin, stride > 0 ? low : high, low, high),
                       last = bound(end, stride > 0 ? high : low, low, high);
    Value list = Value::array();
    std::string chars;
    for (std::int64_t i = first; stride > 0 ? i < last : i > last; i += stride) {
        if (value.is_string()) {
            chars += text[static_cast<std::size_t>(i)];
        } else {
            list.push_back(value[static_cast<std::size_t>(i)]);
        }
    }
    return value.is_string() ? Value(chars) : list;
}

}  // namespace vlm::jinja
