/** @file jinja_parser.cpp
 *  Recursive descent with Jinja's own precedence (jinja2/parser.py). The depth is limited, since templates come from
 * files.
 */
#include "host/tokenizer/jinja_parser.hpp"

#include <algorithm>
#include <charconv>
#include <set>

#include "host/base/error.hpp"
#include "host/tokenizer/jinja_functions.hpp"
#include "host/tokenizer/jinja_lexer.hpp"

namespace vlm::jinja {
namespace {

using Kind = Expression::Kind;
constexpr int kDeepest = 200, kDeepestTree = 500;

class Parser {
  public:
    Parser(const std::string& source, const std::string& name) : name_(name), tokens_(tokenize(source, name)) {}

    Block run() {
        Block block = parse_block({});
        if (peek().kind != Token::Kind::kEnd) fail("found a closing tag without its opening one");
        return block;
    }

  private:
    // ---- tokens
    const Token& peek(std::size_t ahead = 0) const { return tokens_[std::min(at_ + ahead, tokens_.size() - 1)]; }
    const Token& next() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
    bool is(const char* text) const {
        return (peek().kind == Token::Kind::kOperator || peek().kind == Token::Kind::kName) && peek().text == text;
    }
    bool accept(const char* text) {
        if (!is(text)) return false;
        next();
        return true;
    }
    void expect(const char* text) {
        if (!accept(text)) fail(std::string("expected ") + text);
    }
    std::string name() {
        if (peek().kind != Token::Kind::kName) fail("expected a name");
        return next().text;
    }
    [[noreturn]] void fail(const std::string& problem) const {
        throw invalid_argument(name_ + ":" + std::to_string(peek().line) + ": " + problem +
                               (peek().text.empty() ? std::string() : ", found \"" + peek().text.substr(0, 40) + "\""));
    }

    /** The name of a filter or test that exists. */
    std::string known(const char* what, bool (*exists)(const std::string&)) {
        if (peek().kind == Token::Kind::kName && !exists(peek().text)) {
            throw unimplemented(name_ + ":" + std::to_string(peek().line) + ": the " + what + " \"" + peek().text +
                                "\" is not supported");
        }
        return name();
    }

    /** Counts nesting while it lives. */
    struct Nesting {
        explicit Nesting(Parser& p) : parser(p) {
            if (++parser.depth_ > kDeepest) parser.fail("the template is nested too deeply");
        }
        ~Nesting() { --parser.depth_; }
        Parser& parser;
    };

    // ---- statements
    Block parse_block(const std::set<std::string>& ends) {
        const Nesting nesting(*this);
        Block block;
        while (peek().kind != Token::Kind::kEnd) {
            if (peek().kind == Token::Kind::kText) {
                auto statement = make(Statement::Kind::kText);
                statement->text = next().text;
                block.push_back(std::move(statement));
            } else if (peek().kind == Token::Kind::kPrintBegin) {
                next();
                auto statement = make(Statement::Kind::kPrint);
                statement->expression = parse_tuple();
                if (next().kind != Token::Kind::kPrintEnd) fail("expected }}");
                block.push_back(std::move(statement));
            } else {
                if (ends.count(peek(1).text)) return block;
                next();
                parse_statement(block);
            }
        }
        if (!ends.empty()) fail("a block is not closed; expected {% " + *ends.begin() + " %}");
        return block;
    }

    std::unique_ptr<Statement> make(Statement::Kind kind) const {
        auto statement = std::make_unique<Statement>();
        statement->kind = kind;
        statement->line = peek().line;
        return statement;
    }
    void end_tag() {
        if (next().kind != Token::Kind::kBlockEnd) fail("expected %}");
    }
    /** Takes {% word %}. */
    void closing(const char* word) {
        next();
        expect(word);
        end_tag();
    }

    void parse_statement(Block& block) {
        const std::string word = name();
        if (word == "if") return block.push_back(parse_if());
        if (word == "for") return block.push_back(parse_for());
        if (word == "set") return block.push_back(parse_set());
        if (word == "macro") return block.push_back(parse_macro());
        if (word == "break" || word == "continue") {
            block.push_back(make(word == "break" ? Statement::Kind::kBreak : Statement::Kind::kContinue));
            return end_tag();
        }
        if (word == "generation") {  // Marks the assistant's text for training masks; prints its body.
            end_tag();
            Block body = parse_block({"endgeneration"});
            closing("endgeneration");
            std::move(body.begin(), body.end(), std::back_inserter(block));
            return;
        }
        if (word.rfind("end", 0) == 0 || word == "else" || word == "elif")
            fail("found {% " + word + " %} without its opening tag");
        throw unimplemented(name_ + ":" + std::to_string(peek().line) + ": the statement \"" + word +
                            "\" is not supported; known: if, for, set, macro, break, continue, generation");
    }

    std::unique_ptr<Statement> parse_if() {
        const Nesting nesting(*this);  // An elif nests, too.
        auto statement = make(Statement::Kind::kIf);
        statement->expression = parse_tuple();
        end_tag();
        statement->body = parse_block({"elif", "else", "endif"});
        next();
        const std::string word = name();
        if (word == "elif") {
            statement->otherwise.push_back(parse_if());
            return statement;
        }
        if (word == "else") {
            end_tag();
            statement->otherwise = parse_block({"endif"});
            next();
            next();
        }
        end_tag();
        return statement;
    }

    std::vector<std::string> parse_targets() {
        const bool parenthesis = accept("(");
        std::vector<std::string> targets = {name()};
        while (accept(",")) targets.push_back(name());
        if (parenthesis) expect(")");
        return targets;
    }

    std::unique_ptr<Statement> parse_for() {
        auto statement = make(Statement::Kind::kFor);
        statement->targets = parse_targets();
        expect("in");
        statement->expression = parse_or();  // A conditional here would take the loop's own `if`.
        if (is(",")) statement->expression = parse_rest_of_tuple(std::move(statement->expression));
        if (accept("if")) statement->condition = parse_expression();
        if (is("recursive")) {
            throw unimplemented(name_ + ":" + std::to_string(peek().line) + ": \"recursive\" loops are not supported");
        }
        end_tag();
        statement->body = parse_block({"else", "endfor"});
        next();
        if (name() == "else") {
            end_tag();
            statement->otherwise = parse_block({"endfor"});
            next();
            next();
        }
        end_tag();
        return statement;
    }

    std::unique_ptr<Statement> parse_set() {
        auto statement = make(Statement::Kind::kSet);
        statement->targets = parse_targets();
        if (accept(".")) statement->text = name();
        if (accept("=")) {
            statement->expression = parse_tuple();
            end_tag();
            return statement;
        }
        statement->kind = Statement::Kind::kSetBlock;
        end_tag();
        statement->body = parse_block({"endset"});
        closing("endset");
        return statement;
    }

    std::unique_ptr<Statement> parse_macro() {
        auto statement = make(Statement::Kind::kMacro);
        statement->text = name();
        expect("(");
        while (!accept(")")) {
            statement->targets.push_back(name());
            statement->defaults.push_back(accept("=") ? parse_expression() : nullptr);
            if (!is(")")) expect(",");
        }
        end_tag();
        statement->body = parse_block({"endmacro"});
        closing("endmacro");
        return statement;
    }

    // ---- expressions, loosest binding first
    template <typename... Children>
    std::unique_ptr<Expression> node(Kind kind, std::string text, Children... children) const {
        auto expression = std::make_unique<Expression>();
        expression->kind = kind;
        expression->line = peek().line;
        expression->text = std::move(text);
        (add(*expression, std::move(children)), ...);
        return expression;
    }
    /** Hangs a child into a tree. A chain like 1 + 1 + ... is deep without being nested, so depth is counted here. */
    void grow(Expression& parent, const ExpressionPtr& child) const {
        if (child) parent.depth = std::max(parent.depth, child->depth + 1);
        if (parent.depth > kDeepestTree) fail("an expression has too many parts");
    }
    void add(Expression& parent, ExpressionPtr child) const {
        grow(parent, child);
        parent.children.push_back(std::move(child));
    }
    ExpressionPtr literal(Value value) const {
        auto expression = node(Kind::kLiteral, "");
        expression->value = std::move(value);
        return expression;
    }

    ExpressionPtr parse_rest_of_tuple(ExpressionPtr first) {
        auto tuple = node(Kind::kList, "", std::move(first));
        while (accept(",")) {
            if (is(")") || peek().kind == Token::Kind::kBlockEnd || peek().kind == Token::Kind::kPrintEnd) break;
            add(*tuple, parse_expression());
        }
        return tuple;
    }
    ExpressionPtr parse_tuple() {
        ExpressionPtr first = parse_expression();
        return is(",") ? parse_rest_of_tuple(std::move(first)) : std::move(first);
    }

    ExpressionPtr parse_expression() {
        const Nesting nesting(*this);
        ExpressionPtr value = parse_or();
        while (accept("if")) {
            ExpressionPtr condition = parse_or();
            ExpressionPtr otherwise = accept("else") ? parse_expression() : nullptr;
            value = node(Kind::kConditional, "", std::move(value), std::move(condition), std::move(otherwise));
        }
        return value;
    }
    ExpressionPtr parse_or() { return parse_binary({"or"}, &Parser::parse_and); }
    ExpressionPtr parse_and() { return parse_binary({"and"}, &Parser::parse_not); }
    ExpressionPtr parse_not() {
        const Nesting nesting(*this);
        return accept("not") ? node(Kind::kUnary, "not", parse_not()) : parse_compare();
    }

    ExpressionPtr parse_compare() {
        ExpressionPtr first = parse_sum();
        std::unique_ptr<Expression> chain;
        while (true) {
            std::string operation;
            for (const char* known : {"==", "!=", "<=", ">=", "<", ">", "in"}) {
                if (operation.empty() && accept(known)) operation = known;
            }
            if (operation.empty() && is("not") && peek(1).text == "in") {
                next();
                next();
                operation = "not in";
            }
            if (operation.empty()) break;
            if (!chain) chain = node(Kind::kCompare, "", std::move(first));
            chain->operators.push_back(operation);
            add(*chain, parse_sum());
        }
        return chain ? ExpressionPtr(std::move(chain)) : std::move(first);
    }

    ExpressionPtr parse_binary(std::initializer_list<const char*> operators, ExpressionPtr (Parser::*operand)()) {
        ExpressionPtr left = (this->*operand)();
        while (true) {
            const auto found = std::find_if(operators.begin(), operators.end(), [&](const char* o) { return is(o); });
            if (found == operators.end()) return left;
            next();
            left = node(Kind::kBinary, *found, std::move(left), (this->*operand)());
        }
    }
    ExpressionPtr parse_sum() { return parse_binary({"+", "-"}, &Parser::parse_concatenation); }
    ExpressionPtr parse_concatenation() { return parse_binary({"~"}, &Parser::parse_product); }
    ExpressionPtr parse_product() { return parse_binary({"*", "//", "/", "%"}, &Parser::parse_power); }
    ExpressionPtr parse_power() { return parse_binary({"**"}, &Parser::parse_unary); }

    /** A sign binds tighter than a filter: -x|abs is (-x)|abs. */
    ExpressionPtr parse_signed() {
        const Nesting nesting(*this);
        for (const char* sign : {"-", "+"}) {
            if (accept(sign)) return node(Kind::kUnary, sign, parse_signed());
        }
        return parse_postfix(parse_primary());
    }
    ExpressionPtr parse_unary() { return parse_filters(parse_signed()); }

    ExpressionPtr parse_primary() {
        const Token token = peek();
        switch (token.kind) {
            case Token::Kind::kName:
                next();
                if (token.text == "true" || token.text == "True") return literal(true);
                if (token.text == "false" || token.text == "False") return literal(false);
                if (token.text == "none" || token.text == "None") return literal(nullptr);
                return node(Kind::kName, token.text);
            case Token::Kind::kString: {
                std::string text;
                while (peek().kind == Token::Kind::kString) text += next().text;
                return literal(text);
            }
            case Token::Kind::kInteger: {
                std::int64_t number = 0;
                if (std::from_chars(token.text.data(), token.text.data() + token.text.size(), number).ec !=
                    std::errc()) {
                    fail("a number is too large");
                }
                next();
                return literal(number);
            }
            case Token::Kind::kFloat:
                next();
                return literal(std::stod(token.text));
            default:
                break;
        }
        if (accept("(")) {
            if (accept(")")) return node(Kind::kList, "");
            ExpressionPtr inner = parse_tuple();
            expect(")");
            return inner;
        }
        if (accept("[")) {
            auto list = node(Kind::kList, "");
            while (!accept("]")) {
                add(*list, parse_expression());
                if (!is("]")) expect(",");
            }
            return list;
        }
        if (accept("{")) {
            auto dict = node(Kind::kDict, "");
            while (!accept("}")) {
                add(*dict, parse_expression());
                expect(":");
                add(*dict, parse_expression());
                if (!is("}")) expect(",");
            }
            return dict;
        }
        fail("expected an expression");
    }

    void parse_arguments(Expression& owner) {
        Arguments& arguments = owner.arguments;
        while (!accept(")")) {
            if (peek().kind == Token::Kind::kName && peek(1).kind == Token::Kind::kOperator && peek(1).text == "=") {
                std::string key = name();
                next();
                arguments.named.emplace_back(std::move(key), parse_expression());
                grow(owner, arguments.named.back().second);
            } else {
                arguments.positional.push_back(parse_expression());
                grow(owner, arguments.positional.back());
            }
            if (!is(")")) expect(",");
        }
    }

    ExpressionPtr parse_postfix(ExpressionPtr value) {
        while (true) {
            if (accept(".")) {
                if (peek().kind == Token::Kind::kInteger) {
                    value = node(Kind::kItem, "", std::move(value), literal(std::stoi(next().text.substr(0, 9))));
                } else {
                    value = node(Kind::kAttribute, name(), std::move(value));
                }
            } else if (accept("[")) {
                value = parse_subscript(std::move(value));
            } else if (accept("(")) {
                auto call = node(Kind::kCall, "", std::move(value));
                parse_arguments(*call);
                value = std::move(call);
            } else {
                return value;
            }
        }
    }

    ExpressionPtr parse_subscript(ExpressionPtr value) {
        ExpressionPtr parts[3];
        int count = 0;
        bool slice = false;
        while (!is("]")) {
            if (accept(":")) {
                slice = true;
                if (++count > 2) fail("a slice has at most three parts");
            } else {
                parts[count] = parse_expression();
                if (!is(":") && !is("]")) fail("expected ]");
            }
        }
        next();
        if (slice)
            return node(Kind::kSlice, "", std::move(value), std::move(parts[0]), std::move(parts[1]),
                        std::move(parts[2]));
        if (!parts[0]) fail("expected an index");
        return node(Kind::kItem, "", std::move(value), std::move(parts[0]));
    }

    ExpressionPtr parse_filters(ExpressionPtr value) {
        while (true) {
            if (accept("|")) {
                auto filter = node(Kind::kFilter, known("filter", is_known_filter), std::move(value));
                if (accept("(")) parse_arguments(*filter);
                value = parse_postfix_after_filter(std::move(filter));
            } else if (accept("is")) {
                const bool negated = accept("not");
                auto test = node(Kind::kTest, known("test", is_known_test), std::move(value));
                if (accept("(")) {
                    parse_arguments(*test);
                } else if (takes_bare_argument()) {
                    test->arguments.positional.push_back(parse_postfix(parse_primary()));
                    grow(*test, test->arguments.positional.back());
                }
                value = negated ? node(Kind::kUnary, "not", ExpressionPtr(std::move(test))) : std::move(test);
            } else {
                return value;
            }
        }
    }
    ExpressionPtr parse_postfix_after_filter(ExpressionPtr filter) {
        return is("(") ? parse_postfix(std::move(filter)) : std::move(filter);
    }

    /** In `x is divisibleby 3` the test has an argument without parentheses. */
    bool takes_bare_argument() const {
        const Token& token = peek();
        if (token.kind == Token::Kind::kString || token.kind == Token::Kind::kInteger ||
            token.kind == Token::Kind::kFloat)
            return true;
        if (token.kind == Token::Kind::kOperator) return token.text == "[" || token.text == "{";
        static const std::set<std::string> words = {"else", "or", "and", "is", "if", "in", "not", "recursive"};
        return token.kind == Token::Kind::kName && words.count(token.text) == 0;
    }

    const std::string& name_;
    std::vector<Token> tokens_;
    std::size_t at_ = 0;
    int depth_ = 0;
};

}  // namespace

Block parse(const std::string& source, const std::string& name) {
    return Parser(source, name).run();
}

}  // namespace vlm::jinja
