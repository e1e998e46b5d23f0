/** @file jinja_parser.hpp
 *  Builds the syntax tree of a template.
 */
#pragma once
#include "host/tokenizer/jinja_ast.hpp"

namespace vlm::jinja {

/** Parses a template.
 *  @throws Error INVALID_ARGUMENT "name:line: ..." for a syntax error; UNIMPLEMENTED for a statement that is not
 * supported */
Block parse(const std::string& source, const std::string& name);

}  // namespace vlm::jinja
