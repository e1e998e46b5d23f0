/** @file jinja_lexer.hpp
 *  Cuts a template into text and tokens, white-space control included, so that the parser sees neither.
 */
#pragma once
#include <string>
#include <vector>

namespace vlm::jinja {

struct Token {
    enum class Kind {
        kText,
        kPrintBegin,
        kPrintEnd,
        kBlockBegin,
        kBlockEnd,
        kName,
        kString,
        kInteger,
        kFloat,
        kOperator,
        kEnd
    };
    Kind kind;
    std::string text;
    int line;
};

/** Tokens of a template, closed by kEnd. Follows Jinja 3 with trim_blocks and lstrip_blocks on and
 * keep_trailing_newline off.
 *  @throws Error INVALID_ARGUMENT "name:line: ..." for an unknown character or an unclosed tag, string or comment */
std::vector<Token> tokenize(const std::string& source, const std::string& name);

}  // namespace vlm::jinja
