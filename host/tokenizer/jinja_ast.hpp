/** @file jinja_ast.hpp
 *  Values and syntax trees of chat templates. A value is JSON, because messages come as JSON and templates make nothing
 * else; Jinja's "undefined" is the JSON library's "discarded", which no document contains.
 */
#pragma once
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

namespace vlm::jinja {

using Value = nlohmann::ordered_json;

inline Value undefined() {
    return Value(nlohmann::detail::value_t::discarded);
}
inline bool is_undefined(const Value& value) {
    return value.is_discarded();
}

struct Expression;
using ExpressionPtr = std::unique_ptr<const Expression>;

/** Arguments of a call, filter or test. */
struct Arguments {
    std::vector<ExpressionPtr> positional;
    std::vector<std::pair<std::string, ExpressionPtr>> named;
};

struct Expression {
    enum class Kind {
        kLiteral,      ///< value
        kName,         ///< text
        kList,         ///< children; tuples too
        kDict,         ///< children: key, value, key, value ...
        kAttribute,    ///< children[0].text
        kItem,         ///< children[0][children[1]]
        kSlice,        ///< children[0][a:b:c]; null where left out
        kCall,         ///< children[0](arguments)
        kFilter,       ///< children[0] | text(arguments)
        kTest,         ///< children[0] is text(arguments)
        kUnary,        ///< text children[0]: not, -, +
        kBinary,       ///< children[0] text children[1]; "and" and "or" stop early
        kCompare,      ///< children[0] operators[0] children[1] operators[1] ...
        kConditional,  ///< children[0] if children[1] else children[2] (may be null)
    };
    Kind kind;
    int line;
    int depth = 1;  ///< Of the tree below, which the parser limits.
    std::string text;
    Value value;
    std::vector<ExpressionPtr> children;
    std::vector<std::string> operators;
    Arguments arguments;
};

struct Statement;
using Block = std::vector<std::unique_ptr<const Statement>>;

struct Statement {
    enum class Kind {
        kText,      ///< text
        kPrint,     ///< expression
        kIf,        ///< expression, body, otherwise
        kFor,       ///< targets in expression if condition: body, otherwise
        kSet,       ///< targets = expression; attribute `text` of targets[0] when not empty
        kSetBlock,  ///< targets[0] = output of body
        kMacro,     ///< text(targets = defaults): body
        kBreak,
        kContinue,
    };
    Kind kind;
    int line;
    std::string text;
    std::vector<std::string> targets;
    ExpressionPtr expression, condition;
    std::vector<ExpressionPtr> defaults;
    Block body, otherwise;
};

}  // namespace vlm::jinja
