/** @file writer.hpp
 *  Writes results as JSON in the order in which members are added, without building a tree: what is printed is one
 * object per image, and readers of logs want the same key at the same place in each line.
 */
#pragma once
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace vlm::json {

/** The text as a JSON string with quotes. Control characters are escaped, bytes that are no UTF-8 become U+FFFD. */
std::string quote(std::string_view text);

/** quote() of at most `max_bytes` of the text (cut between characters, with an ellipsis): for messages. */
std::string quote_short(std::string_view text, size_t max_bytes = 60);

/** The shortest text that reads back as the same number; "null" for NaN and infinities, which JSON has no word for. */
std::string number_text(double value);
/** @copydoc number_text(double) */
std::string number_text(float value);

/** Streaming writer. Calls that would give something that is not JSON (a value without a key in an object, an end
 * without a beginning) throw Error INTERNAL. */
class Writer {
  public:
    /** `indent` spaces per level, or 0 for one line (as JSON Lines needs). */
    explicit Writer(int indent = 0) : indent_(indent) {}

    Writer& begin_object();
    Writer& end_object();
    Writer& begin_array();
    Writer& end_array();

    /** The key of the next value of the object. Keys are not compared: giving one twice is the caller's mistake. */
    Writer& key(std::string_view name);

    Writer& value(std::string_view text);
    Writer& value(const char* text) { return value(std::string_view(text)); }
    Writer& value(const std::string& text) { return value(std::string_view(text)); }
    Writer& value(bool boolean);
    Writer& value(double number);
    Writer& value(float number);
    Writer& value(std::nullptr_t);
    template <std::integral T>
    Writer& value(T number) {
        return raw(std::to_string(number));
    }

    /** A value that is JSON text already; not checked. */
    Writer& raw(std::string_view json);

    /** key() and value() in one. */
    template <class T>
    Writer& member(std::string_view name, const T& content) {
        key(name);
        return value(content);
    }

    /** The text; the writer is empty afterwards. @throws Error INTERNAL when something is still open or nothing was
     * written. */
    std::string take();

  private:
    struct Level {
        bool object = false;
        bool empty = true;
    };

    void before_value();
    void new_line();
    Writer& begin(bool object);
    Writer& end(bool object);

    int indent_;
    std::string text_;
    std::vector<Level> levels_;
    bool key_given_ = false;
};

}  // namespace vlm::json
