/** @file jinja_values.hpp
 *  What Python does with values that a template handles: truth, printing, JSON, slices. Strings count in code points,
 * as in Python.
 */
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "host/tokenizer/jinja_ast.hpp"

namespace vlm::jinja {

/** Python's truth of a value: empty, zero, none and undefined are false. */
bool truth(const Value& value);

/** Equality where undefined equals only itself. */
bool equal(const Value& a, const Value& b);

/** What {{ value }} prints: str() of Python; lists and dicts as repr() writes them. */
std::string to_text(const Value& value);

/** json.dumps(value, ensure_ascii=False, indent=indent); without indent on one line with ", " and ": ". */
std::string to_json(const Value& value, std::optional<int> indent);

/** A value's type for messages. */
std::string type_name(const Value& value);

/** The characters of valid UTF-8. */
std::vector<std::string_view> characters(std::string_view text);

/** Python's value[begin:end:step] of a string or list; a missing bound is undefined. `where` begins messages. */
Value slice(const Value& value, const Value& begin, const Value& end, const Value& step, const std::string& where);

}  // namespace vlm::jinja
