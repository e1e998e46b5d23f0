/** @file components.cpp
 *  Sequences are read recursively, so their depth is limited: a file must not be able to exhaust the stack.
 */
#include "host/tokenizer/components.hpp"

#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {

std::string component_type(const JsonField& field, int depth) {
    if (depth > 32) field.fail("sequences are nested deeper than 32");
    return field.at("type").string();
}

Pattern read_pattern(const JsonField& field) {
    if (const auto literal = field.find("String")) return Pattern::literal(literal->string(), literal->where());
    if (const auto regex = field.find("Regex")) return Pattern::regex(regex->string(), regex->where());
    field.fail("expected {\"String\": ...} or {\"Regex\": ...}");
}

MetaspaceOptions read_metaspace(const JsonField& field) {
    MetaspaceOptions options;
    append_utf8(options.replacement, field.at("replacement").character());
    const auto scheme = field.find("prepend_scheme");
    const std::string name = scheme ? scheme->string() : "always";
    if (name == "first") {
        options.prepend = MetaspaceOptions::Prepend::kFirst;
    } else if (name == "never") {
        options.prepend = MetaspaceOptions::Prepend::kNever;
    } else if (name == "always") {
        options.prepend = MetaspaceOptions::Prepend::kAlways;
    } else {
        scheme->fail("found \"" + name + "\", expected first, never or always");
    }
    if (!field.boolean_or("add_prefix_space", true)) {  // The older spelling of "never".
        if (scheme && name != "never") field.fail("add_prefix_space is false, but prepend_scheme is \"" + name + "\"");
        options.prepend = MetaspaceOptions::Prepend::kNever;
    }
    options.split = field.boolean_or("split", true);
    return options;
}

}  // namespace vlm::tok
