/** @file components.hpp
 *  What the sections of tokenizer.json have in common: a "type" that names the component, patterns, nested sequences.
 */
#pragma once
#include "host/tokenizer/json_field.hpp"
#include "host/tokenizer/regex.hpp"

namespace vlm::tok {

/** The component's "type". @throws Error INVALID_ARGUMENT when it is missing, or when sequences nest deeper than 32 */
std::string component_type(const JsonField& field, int depth);

/** A pattern: {"String": "..."} or {"Regex": "..."}. */
Pattern read_pattern(const JsonField& field);

/** "▁" handling that the Metaspace pre-tokenizer and decoder share. */
struct MetaspaceOptions {
    enum class Prepend { kFirst, kNever, kAlways };
    std::string replacement;
    Prepend prepend;
    bool split;
};
MetaspaceOptions read_metaspace(const JsonField& field);

}  // namespace vlm::tok
