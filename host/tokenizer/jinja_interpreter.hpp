/** @file jinja_interpreter.hpp
 *  Runs a parsed chat template.
 */
#pragma once
#include "host/tokenizer/jinja_ast.hpp"

namespace vlm::jinja {

/** The text that a template prints with these variables (a JSON object); `name` begins messages.
 *  @throws Error INVALID_ARGUMENT (raise_exception, wrong types), UNIMPLEMENTED, RESOURCE_EXHAUSTED (more than 20
 * million steps or 64 MiB) */
std::string run(const Block& program, const Value& variables, const std::string& name);

}  // namespace vlm::jinja
