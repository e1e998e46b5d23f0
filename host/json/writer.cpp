/** @file writer.cpp
 *  Numbers go through std::to_chars, which gives the shortest text that reads back equal and knows no locale.
 */
#include "host/json/writer.hpp"

#include <array>
#include <charconv>
#include <cmath>

#include "host/base/error.hpp"

namespace vlm::json {
namespace {

Error misuse(const char* what) {
    return {VLM_STATUS_INTERNAL, std::string("JSON writer: ") + what};
}

/** Length of the well-formed UTF-8 sequence at the start of `text` (Unicode 15, table 3-7), or 0 when there is none. */
size_t utf8_sequence(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned char lead = byte(0);
    if (lead < 0x80) return 1;
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || text.size() < length) return 0;
    const unsigned char low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    const unsigned char high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (byte(1) < low || byte(1) > high) return 0;
    for (size_t i = 2; i < length; ++i) {
        if ((byte(i) & 0xc0) != 0x80) return 0;
    }
    return length;
}

void append_quoted(std::string& out, std::string_view text) {
    constexpr char kHex[] = "0123456789abcdef";
    out += '"';
    while (!text.empty()) {
        const size_t length = utf8_sequence(text);
        const char c = text.front();
        if (length == 0) {
            out += "\xef\xbf\xbd";
        } else if (length > 1) {
            out += text.substr(0, length);
        } else if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\t') {
            out += "\\t";
        } else if (c == '\r') {
            out += "\\r";
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += "\\u00";
            out += kHex[(c >> 4) & 0xf];
            out += kHex[c & 0xf];
        } else {
            out += c;
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
    out += '"';
}

template <class T>
std::string shortest(T value) {
    if (!std::isfinite(value)) return "null";
    std::array<char, 40> buffer{};
    const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), value);
    return {buffer.data(), end.ptr};
}

}  // namespace

std::string quote(std::string_view text) {
    std::string out;
    out.reserve(text.size() + 2);
    append_quoted(out, text);
    return out;
}

std::string quote_short(std::string_view text, size_t max_bytes) {
    if (text.size() <= max_bytes) return quote(text);
    size_t cut = max_bytes;
    while (cut > 0 && (static_cast<unsigned char>(text[cut]) & 0xc0) == 0x80) --cut;
    return quote(text.substr(0, cut)) + "…";
}

std::string number_text(double value) {
    return shortest(value);
}
std::string number_text(float value) {
    return shortest(value);
}

Writer& Writer::begin_object() {
    return begin(true);
}
Writer& Writer::end_object() {
    return end(true);
}
Writer& Writer::begin_array() {
    return begin(false);
}
Writer& Writer::end_array() {
    return end(false);
}

Writer& Writer::begin(bool object) {
    before_value();
    text_ += object ? '{' : '[';
    levels_.push_back({object, true});
    return *this;
}

Writer& Writer::end(bool object) {
    if (levels_.empty() || levels_.back().object != object || key_given_) throw misuse("end without its beginning");
    const bool empty = levels_.back().empty;
    levels_.pop_back();
    if (!empty) new_line();
    text_ += object ? '}' : ']';
    return *this;
}

Writer& Writer::key(std::string_view name) {
    if (levels_.empty() || !levels_.back().object || key_given_) throw misuse("a key where none belongs");
    if (!levels_.back().empty) text_ += ',';
    levels_.back().empty = false;
    new_line();
    append_quoted(text_, name);
    text_ += indent_ > 0 ? ": " : ":";
    key_given_ = true;
    return *this;
}

void Writer::before_value() {
    if (levels_.empty()) {
        if (!text_.empty()) throw misuse("a second value at the top");
        return;
    }
    if (levels_.back().object) {
        if (!key_given_) throw misuse("a value without a key in an object");
        key_given_ = false;
        return;
    }
    if (!levels_.back().empty) text_ += ',';
    levels_.back().empty = false;
    new_line();
}

void Writer::new_line() {
    if (indent_ <= 0) return;
    text_ += '\n';
    text_.append(levels_.size() * static_cast<size_t>(indent_), ' ');
}

Writer& Writer::value(std::string_view text) {
    before_value();
    append_quoted(text_, text);
    return *this;
}

Writer& Writer::value(bool boolean) {
    return raw(boolean ? "true" : "false");
}
Writer& Writer::value(double number) {
    return raw(number_text(number));
}
Writer& Writer::value(float number) {
    return raw(number_text(number));
}
Writer& Writer::value(std::nullptr_t) {
    return raw("null");
}

Writer& Writer::raw(std::string_view json) {
    before_value();
    text_ += json;
    return *this;
}

std::string Writer::take() {
    if (!levels_.empty() || text_.empty()) throw misuse("the text is not complete");
    std::string text;
    text.swap(text_);
    return text;
}

}  // namespace vlm::json
