/** @file jinja_functions.hpp
 *  Filters, tests and methods of chat templates: the ones of Jinja 3 and of Python's str and dict that published
 * templates use.
 */
#pragma once
#include "host/tokenizer/jinja_values.hpp"

namespace vlm::jinja {

/** Evaluated arguments. */
struct CallArguments {
    std::string where;  ///< "name:line: ", begins messages.
    std::vector<Value> positional;
    std::vector<std::pair<std::string, Value>> named;

    /** An argument by position or name, undefined when not given. */
    Value get(std::size_t index, const char* name) const;
    /** The arguments without the first `count` positional ones. */
    CallArguments without(std::size_t count) const;
};

/** value | name(arguments). @throws Error UNIMPLEMENTED for an unknown name, INVALID_ARGUMENT for a value of the wrong
 * type */
Value apply_filter(const std::string& name, const Value& value, const CallArguments& arguments);

/** value is name(arguments). @throws Error like apply_filter */
bool apply_test(const std::string& name, const Value& value, const CallArguments& arguments);

/** value.name(arguments). @throws Error like apply_filter */
Value call_method(const Value& value, const std::string& name, const CallArguments& arguments);

/** value.name or value["name"] or value[i]; undefined when there is no such member. @throws Error INVALID_ARGUMENT on
 * undefined itself */
Value member(const Value& value, const Value& key, const std::string& where);

/** Whether this filter or test is known; parsers of templates can refuse early. */
bool is_known_filter(const std::string& name);
bool is_known_test(const std::string& name);

/** a < b of Python, for numbers and strings. @throws Error INVALID_ARGUMENT for other types */
bool less(const Value& a, const Value& b, const std::string& where);

}  // namespace vlm::jinja
