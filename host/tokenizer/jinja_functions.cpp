/** @file jinja_functions.cpp
 *  Tables from names to functions: what is supported can be read off them, and an unknown name is refused with the
 * list.
 */
#include "host/tokenizer/jinja_functions.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "host/base/error.hpp"
#include "host/tokenizer/unicode.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::jinja {
namespace {

using Filter = std::function<Value(const Value&, const CallArguments&)>;
using Test = std::function<bool(const Value&, const CallArguments&)>;

[[noreturn]] void wrong(const CallArguments& a, const std::string& what, const Value& found) {
    throw invalid_argument(a.where + what + ", found " + type_name(found));
}

std::string text_of(const Value& value, const CallArguments& a, const char* user) {
    if (!value.is_string()) wrong(a, std::string(user) + " needs a string", value);
    return value.get<std::string>();
}

std::int64_t integer_or(const Value& value, std::int64_t fallback) {
    return value.is_number_integer()
               ? std::clamp<std::int64_t>(value.get<std::int64_t>(), -1'000'000'000, 1'000'000'000)
               : fallback;
}

/** Removes characters at the ends: white space, or those of `set`. */
std::string strip(std::string_view text, const Value& set, bool left, bool right) {
    const std::vector<std::string_view> all = characters(text);
    const auto drops = [&](std::string_view character) {
        std::size_t pos = 0;
        if (!set.is_string()) {
            const char32_t c = tok::next_code_point(character, pos);
            return tok::is_white_space(c) || (c >= 0x1C && c <= 0x1F);  // Python counts the separators too.
        }
        return set.get_ref<const std::string&>().find(character) != std::string::npos;
    };
    std::size_t begin = 0, end = all.size();
    while (left && begin < end && drops(all[begin])) ++begin;
    while (right && end > begin && drops(all[end - 1])) --end;
    if (begin == end) return {};
    const char* first = all[begin].data();
    return {first, static_cast<std::size_t>(all[end - 1].data() + all[end - 1].size() - first)};
}

/** Upper case of ASCII; other letters stay, which templates never ask for. Lower case is Unicode's. */
std::string upper(std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; });
    return text;
}
std::string lower(std::string_view text) {
    std::string out;
    for (std::size_t pos = 0; pos < text.size();) tok::append_lower(out, tok::next_code_point(text, pos));
    return out;
}
/** The first letter large and the others small; with `words`, of every word. */
std::string capitalize(const std::string& text, bool words) {
    std::string out = lower(text);
    bool begin = true;
    for (char& c : out) {
        if (begin) c = upper(std::string(1, c))[0];
        begin = words && !(static_cast<unsigned char>(c) >= 0x80 || std::isalpha(static_cast<unsigned char>(c)));
    }
    return out;
}

Value split(const std::string& text, const Value& separator, std::int64_t limit) {
    Value out = Value::array();
    const auto full = [&] { return limit >= 0 && static_cast<std::int64_t>(out.size()) >= limit; };
    if (separator.is_string()) {
        const auto& by = separator.get_ref<const std::string&>();
        std::size_t pos = 0, hit = 0;
        while (!by.empty() && !full() && (hit = text.find(by, pos)) != std::string::npos) {
            out.push_back(text.substr(pos, hit - pos));
            pos = hit + by.size();
        }
        out.push_back(text.substr(pos));
        return out;
    }
    std::string rest = strip(text, undefined(), true, false);
    while (!rest.empty()) {
        std::size_t end = 0, next = 0;
        while (end < rest.size() && (next = end, !tok::is_white_space(tok::next_code_point(rest, next)))) end = next;
        if (full()) end = rest.size();
        out.push_back(rest.substr(0, end));
        rest = strip(rest.substr(end), undefined(), true, false);
    }
    return out;
}

std::string join(const Value& list, const std::string& separator) {
    std::string out;
    for (std::size_t i = 0; i < list.size(); ++i) out += (i ? separator : "") + to_text(list[i]);
    return out;
}

/** What Python's list() makes of a value. */
Value to_list(const Value& value, const CallArguments& a) {
    Value out = Value::array();
    if (value.is_array()) return value;
    if (value.is_string()) {
        for (const auto character : characters(value.get_ref<const std::string&>()))
            out.push_back(std::string(character));
    } else if (value.is_object()) {
        for (const auto& item : value.items()) out.push_back(item.key());
    } else if (!is_undefined(value)) {
        wrong(a, "expected something to iterate over", value);
    }
    return out;
}

Value dict_items(const Value& value, const CallArguments& a) {
    if (!value.is_object()) wrong(a, "items needs a dict", value);
    Value out = Value::array();
    for (const auto& item : value.items()) out.push_back(Value::array({item.key(), item.value()}));
    return out;
}

Value replace(const std::string& text, const CallArguments& a) {
    const std::string from = text_of(a.get(0, "old"), a, "replace"), to = text_of(a.get(1, "new"), a, "replace");
    const std::int64_t count = integer_or(a.get(2, "count"), -1);
    if (count < 0 || from.empty()) return tok::replace_all(text, from, to);
    std::string out;
    std::size_t pos = 0, hit = 0;
    for (std::int64_t i = 0; i < count && (hit = text.find(from, pos)) != std::string::npos;
         ++i, pos = hit + from.size()) {
        out.append(text, pos, hit - pos).append(to);
    }
    return out.append(text, pos);
}

std::string indent(const std::string& text, const CallArguments& a) {
    const Value width = a.get(0, "width");
    const std::string fill =
        width.is_string()
            ? width.get<std::string>()
            : std::string(static_cast<std::size_t>(std::clamp<std::int64_t>(integer_or(width, 4), 0, 1000)), ' ');
    const bool first = truth(a.get(1, "first")), blank = truth(a.get(2, "blank"));
    std::string out;
    std::size_t pos = 0;
    for (bool head = true;; head = false) {
        const std::size_t end = std::min(text.find('\n', pos), text.size());
        if (head ? first : (blank || end > pos)) out += fill;
        out.append(text, pos, end - pos);
        if (end == text.size()) return out;
        out += '\n';
        pos = end + 1;
    }
}

/** select, reject, selectattr, rejectattr. */
Value choose(const Value& value, const CallArguments& a, bool attribute, bool keep) {
    const CallArguments rest = a.without(attribute ? 1 : 0);
    const Value test = rest.get(0, "");
    Value out = Value::array();
    for (const Value& item : to_list(value, a)) {
        const Value subject = attribute ? member(item, a.get(0, ""), a.where) : item;
        const bool passes =
            test.is_string() ? apply_test(test.get<std::string>(), subject, rest.without(1)) : truth(subject);
        if (passes == keep) out.push_back(item);
    }
    return out;
}

Value map_filter(const Value& value, const CallArguments& a) {
    const Value attribute = a.get(SIZE_MAX, "attribute");
    const Value fallback = a.get(SIZE_MAX, "default");
    Value out = Value::array();
    for (const Value& item : to_list(value, a)) {
        if (is_undefined(attribute)) {
            out.push_back(apply_filter(text_of(a.get(0, ""), a, "map"), item, a.without(1)));
        } else {
            const Value found = member(item, attribute, a.where);
            out.push_back(is_undefined(found) ? fallback : found);
        }
    }
    return out;
}

std::int64_t length(const Value& value, const CallArguments& a) {
    if (value.is_string()) return static_cast<std::int64_t>(characters(value.get_ref<const std::string&>()).size());
    if (value.is_structured()) return static_cast<std::int64_t>(value.size());
    if (is_undefined(value)) return 0;
    wrong(a, "length needs a string, list or dict", value);
}

Value to_integer(const Value& value, const CallArguments& a) {
    const Value fallback = a.get(0, "default");
    Value otherwise = is_undefined(fallback) ? Value(0) : fallback;
    if (value.is_boolean()) return static_cast<int>(value.get<bool>());
    if (value.is_number_float()) {
        const double number = std::trunc(value.get<double>());
        return std::abs(number) < 9e18 ? Value(static_cast<std::int64_t>(number)) : otherwise;
    }
    if (value.is_number()) return value;
    if (!value.is_string()) return otherwise;
    const std::string text = strip(value.get<std::string>(), undefined(), true, true);
    try {
        std::size_t used = 0;
        const std::int64_t number = std::stoll(text, &used);
        return used == text.size() ? Value(number) : otherwise;
    } catch (const std::logic_error&) {
        return otherwise;
    }
}

const std::map<std::string, Filter>& filters() {
    using A = const CallArguments&;
    using V = const Value&;
    static const std::map<std::string, Filter> table = {
        {"trim", [](V v, A a) { return Value(strip(to_text(v), a.get(0, "chars"), true, true)); }},
        {"tojson",
         [](V v, A a) {
             const Value width = a.get(SIZE_MAX, "indent");
             return Value(to_json(
                 v, width.is_number_integer()
                        ? std::optional<int>(static_cast<int>(std::clamp<std::int64_t>(integer_or(width, 0), 0, 100)))
                        : std::nullopt));
         }},
        {"length", [](V v, A a) { return Value(length(v, a)); }},
        {"count", [](V v, A a) { return Value(length(v, a)); }},
        {"upper", [](V v, A) { return Value(upper(to_text(v))); }},
        {"lower", [](V v, A) { return Value(lower(to_text(v))); }},
        {"capitalize", [](V v, A) { return Value(capitalize(to_text(v), false)); }},
        {"title", [](V v, A) { return Value(capitalize(to_text(v), true)); }},
        {"string", [](V v, A) { return Value(to_text(v)); }},
        {"safe", [](V v, A) { return v; }},
        {"int", [](V v, A a) { return to_integer(v, a); }},
        {"list", [](V v, A a) { return to_list(v, a); }},
        {"items", [](V v, A a) { return is_undefined(v) ? Value::array() : dict_items(v, a); }},
        {"join",
         [](V v, A a) {
             const Value by = a.get(0, "d");
             return Value(join(to_list(v, a), is_undefined(by) ? "" : to_text(by)));
         }},
        {"first",
         [](V v, A a) {
             const Value list = to_list(v, a);
             return list.empty() ? undefined() : list.front();
         }},
        {"last",
         [](V v, A a) {
             const Value list = to_list(v, a);
             return list.empty() ? undefined() : list.back();
         }},
        {"reverse",
         [](V v, A a) {
             return slice(v.is_object() ? to_list(v, a) : v, undefined(), undefined(), Value(-1), a.where);
         }},
        {"default",
         [](V v, A a) {
             const Value other = a.get(0, "default_value");
             const bool use = is_undefined(v) || (truth(a.get(1, "boolean")) && !truth(v));
             return !use ? v : is_undefined(other) ? Value("") : other;
         }},
        {"replace", [](V v, A a) { return replace(to_text(v), a); }},
        {"indent", [](V v, A a) { return Value(indent(to_text(v), a)); }},
        {"map", map_filter},
        {"select", [](V v, A a) { return choose(v, a, false, true); }},
        {"reject", [](V v, A a) { return choose(v, a, false, false); }},
        {"selectattr", [](V v, A a) { return choose(v, a, true, true); }},
        {"rejectattr", [](V v, A a) { return choose(v, a, true, false); }},
        {"unique",
         [](V v, A a) {
             Value out = Value::array();
             for (const Value& item : to_list(v, a)) {
                 if (std::none_of(out.begin(), out.end(), [&](V seen) { return equal(seen, item); }))
                     out.push_back(item);
             }
             return out;
         }},
        {"abs", [](V v, A a) -> Value {
             if (v.is_number_float()) return std::abs(v.get<double>());
             if (!v.is_number()) wrong(a, "abs needs a number", v);
             return v.get<std::int64_t>() < 0 ? Value(0 - v.get<std::int64_t>()) : v;
         }}};
    return table;
}

const std::map<std::string, Test>& tests() {
    using A = const CallArguments&;
    using V = const Value&;
    static const Test same = [](V v, A a) { return equal(v, a.get(0, "other")); };
    static const std::map<std::string, Test> table = {
        {"defined", [](V v, A) { return !is_undefined(v); }},
        {"undefined", [](V v, A) { return is_undefined(v); }},
        {"none", [](V v, A) { return v.is_null(); }},
        {"string", [](V v, A) { return v.is_string(); }},
        {"number", [](V v, A) { return v.is_number() || v.is_boolean(); }},
        {"integer", [](V v, A) { return v.is_number_integer(); }},
        {"float", [](V v, A) { return v.is_number_float(); }},
        {"boolean", [](V v, A) { return v.is_boolean(); }},
        {"true", [](V v, A) { return v.is_boolean() && v.get<bool>(); }},
        {"false", [](V v, A) { return v.is_boolean() && !v.get<bool>(); }},
        {"mapping", [](V v, A) { return v.is_object(); }},
        {"iterable", [](V v, A) { return v.is_structured() || v.is_string() || is_undefined(v); }},
        {"sequence", [](V v, A) { return v.is_structured() || v.is_string() || is_undefined(v); }},
        {"odd", [](V v, A) { return v.is_number_integer() && v.get<std::int64_t>() % 2 != 0; }},
        {"even", [](V v, A) { return v.is_number_integer() && v.get<std::int64_t>() % 2 == 0; }},
        {"divisibleby",
         [](V v, A a) {
             const std::int64_t by = integer_or(a.get(0, "num"), 0);
             if (by == 0 || !v.is_number_integer()) wrong(a, "divisibleby needs integers and no zero", v);
             return v.get<std::int64_t>() % by == 0;
         }},
        {"equalto", same},
        {"eq", same},
        {"==", same},
        {"sameas", same},
        {"ne", [](V v, A a) { return !equal(v, a.get(0, "other")); }},
        {"in", [](V v, A a) {
             const Value list = a.get(0, "seq");
             if (list.is_object()) return v.is_string() && list.contains(v.get<std::string>());
             if (list.is_string())
                 return v.is_string() &&
                        list.get_ref<const std::string&>().find(v.get<std::string>()) != std::string::npos;
             return list.is_array() && std::any_of(list.begin(), list.end(), [&](V item) { return equal(item, v); });
         }}};
    return table;
}

template <typename Table>
std::string names(const Table& table) {
    std::string out;
    for (const auto& entry : table) out += (out.empty() ? "" : ", ") + entry.first;
    return out;
}

/** startswith and endswith take a string or a tuple of them. */
bool affix(const std::string& text, const CallArguments& a, bool start) {
    const Value given = a.get(0, "");
    const Value all = given.is_array() ? given : Value::array({given});
    return std::any_of(all.begin(), all.end(), [&](const Value& value) {
        const std::string part = text_of(value, a, "startswith");
        return part.size() <= text.size() &&
               text.compare(start ? 0 : text.size() - part.size(), part.size(), part) == 0;
    });
}

const std::map<std::string, Filter>& string_methods() {
    using A = const CallArguments&;
    using V = const Value&;
    static const auto text = [](V v) -> const std::string& { return v.get_ref<const std::string&>(); };
    static const std::map<std::string, Filter> table = {
        {"strip", [](V v, A a) { return Value(strip(text(v), a.get(0, ""), true, true)); }},
        {"lstrip", [](V v, A a) { return Value(strip(text(v), a.get(0, ""), true, false)); }},
        {"rstrip", [](V v, A a) { return Value(strip(text(v), a.get(0, ""), false, true)); }},
        {"split", [](V v, A a) { return split(text(v), a.get(0, "sep"), integer_or(a.get(1, "maxsplit"), -1)); }},
        {"splitlines",
         [](V v, A) {
             Value lines = split(text(v), Value("\n"), -1);
             if (text(lines.back()).empty()) lines.erase(lines.size() - 1);
             return lines;
         }},
        {"startswith", [](V v, A a) { return Value(affix(text(v), a, true)); }},
        {"endswith", [](V v, A a) { return Value(affix(text(v), a, false)); }},
        {"upper", [](V v, A) { return Value(upper(text(v))); }},
        {"lower", [](V v, A) { return Value(lower(text(v))); }},
        {"title", [](V v, A) { return Value(capitalize(text(v), true)); }},
        {"capitalize", [](V v, A) { return Value(capitalize(text(v), false)); }},
        {"replace", [](V v, A a) { return replace(text(v), a); }},
        {"join", [](V v, A a) { return Value(join(to_list(a.get(0, ""), a), text(v))); }},
        {"count",
         [](V v, A a) {
             const std::string part = text_of(a.get(0, ""), a, "count");
             std::int64_t count = 0;
             for (std::size_t pos = 0; !part.empty() && (pos = text(v).find(part, pos)) != std::string::npos;
                  pos += part.size())
                 ++count;
             return Value(count);
         }},
        {"find", [](V v, A a) {
             const std::size_t at = text(v).find(text_of(a.get(0, ""), a, "find"));
             return at == std::string::npos ? Value(-1)
                                            : Value(characters(std::string_view(text(v)).substr(0, at)).size());
         }}};
    return table;
}

const std::map<std::string, Filter>& dict_methods() {
    using A = const CallArguments&;
    using V = const Value&;
    static const std::map<std::string, Filter> table = {
        {"get",
         [](V v, A a) {
             const auto found = v.find(text_of(a.get(0, ""), a, "get"));
             const Value fallback = a.get(1, "");
             return found != v.end() ? *found : is_undefined(fallback) ? Value(nullptr) : fallback;
         }},
        {"items", dict_items},
        {"keys", [](V v, A a) { return to_list(v, a); }},
        {"values", [](V v, A) {
             Value out = Value::array();
             for (V item : v) out.push_back(item);
             return out;
         }}};
    return table;
}

}  // namespace

Value CallArguments::get(std::size_t index, const char* name) const {
    if (index < positional.size()) return positional[index];
    const auto found = std::find_if(named.begin(), named.end(), [&](const auto& entry) { return entry.first == name; });
    return found == named.end() ? undefined() : found->second;
}

CallArguments CallArguments::without(std::size_t count) const {
    CallArguments rest{where, {}, named};
    if (count < positional.size())
        rest.positional.assign(positional.begin() + static_cast<std::ptrdiff_t>(count), positional.end());
    return rest;
}

bool is_known_filter(const std::string& name) {
    return name == "d" || filters().count(name) > 0;
}
bool is_known_test(const std::string& name) {
    return tests().count(name) > 0;
}

Value apply_filter(const std::string& name, const Value& value, const CallArguments& arguments) {
    const auto found = filters().find(name == "d" ? "default" : name);
    if (found == filters().end())
        throw unimplemented(arguments.where + "the filter \"" + name +
                            "\" is not supported; known: " + names(filters()));
    return found->second(value, arguments);
}

bool apply_test(const std::string& name, const Value& value, const CallArguments& arguments) {
    const auto found = tests().find(name);
    if (found == tests().end())
        throw unimplemented(arguments.where + "the test \"" + name + "\" is not supported; known: " + names(tests()));
    return found->second(value, arguments);
}

Value call_method(const Value& value, const std::string& name, const CallArguments& arguments) {
    if (!value.is_string() && !value.is_object())
        wrong(arguments, "the method \"" + name + "\" needs a string or dict", value);
    const auto& table = value.is_string() ? string_methods() : dict_methods();
    const auto found = table.find(name);
    if (found == table.end()) {
        throw unimplemented(arguments.where + "the method \"" + name + "\" of a " + type_name(value) +
                            " is not supported; known: " + names(table));
    }
    return found->second(value, arguments);
}

Value member(const Value& value, const Value& key, const std::string& where) {
    if (is_undefined(value)) throw invalid_argument(where + "an undefined value has no member " + to_text(key));
    if (key.is_string()) {
        if (!value.is_object()) return undefined();
        const auto found = value.find(key.get_ref<const std::string&>());
        return found == value.end() ? undefined() : *found;
    }
    if (!key.is_number_integer()) return undefined();
    const std::vector<std::string_view> text =
        value.is_string() ? characters(value.get_ref<const std::string&>()) : std::vector<std::string_view>();
    if (!value.is_string() && !value.is_array()) return undefined();
    const auto size = static_cast<std::int64_t>(value.is_string() ? text.size() : value.size());
    const std::int64_t index = key.get<std::int64_t>(), at = index < 0 ? index + size : index;
    if (at < 0 || at >= size) return undefined();
    return value.is_string() ? Value(std::string(text[static_cast<std::size_t>(at)]))
                             : value[static_cast<std::size_t>(at)];
}

bool less(const Value& a, const Value& b, const std::string& where) {
    const bool comparable = (a.is_number() && b.is_number()) || (a.is_string() && b.is_string());
    if (!comparable)
        throw invalid_argument(where + "a " + type_name(a) + " and a " + type_name(b) + " cannot be ordered");
    return a < b;
}

}  // namespace vlm::jinja
