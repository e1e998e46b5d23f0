/** @file jinja_interpreter.cpp
 *  A tree walk with a stack of scopes. Loops and macros open a scope, `if` does not; a namespace is changed where it
 * lives. Steps and output are counted, because a template comes from a file and must not be able to run for ever.
 */
#include "host/tokenizer/jinja_interpreter.hpp"

#include <chrono>
#include <cmath>
#include <ctime>
#include <map>

#include "host/base/error.hpp"
#include "host/tokenizer/jinja_functions.hpp"

namespace vlm::jinja {
namespace {

constexpr long kMostSteps = 2'000'000;
constexpr std::size_t kMostOutput = 64u << 20;
constexpr std::int64_t kLongestRange = 100'000;  // As in Jinja's sandbox.
constexpr int kDeepestCall = 100, kDeepestStack = 2000;

enum class Flow { kNormal, kBreak, kContinue };

class Interpreter {
  public:
    Interpreter(const Value& variables, const std::string& name) : name_(name), scopes_(1) {
        for (const auto& item : variables.items()) scopes_[0].values[item.key()] = item.value();
    }

    std::string run(const Block& program) {
        std::string out;
        execute(program, out);
        return out;
    }

  private:
    struct Scope {
        std::map<std::string, Value> values;
        std::map<std::string, const Statement*> macros;
    };

    std::string where(int line) const { return name_ + ":" + std::to_string(line) + ": "; }
    void step(int line) {
        if (++steps_ > kMostSteps)
            throw resource_exhausted(where(line) + "the chat template takes more than 2 million steps");
    }
    void emit(std::string& out, std::string_view text, int line) {
        if (text.size() > kMostOutput - std::min(out.size(), kMostOutput))
            throw resource_exhausted(where(line) + "the chat template writes more than 64 MiB");
        out += text;
    }
    Value* find(const std::string& name) {
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
            if (const auto found = scope->values.find(name); found != scope->values.end()) return &found->second;
        }
        return nullptr;
    }
    const Statement* find_macro(const std::string& name) const {
        for (auto scope = scopes_.rbegin(); scope != scopes_.rend(); ++scope) {
            if (const auto found = scope->macros.find(name); found != scope->macros.end()) return found->second;
        }
        return nullptr;
    }

    /** Counts the interpreter's own recursion while it lives: macros and nesting together must not exhaust the stack.
     */
    struct Frame {
        Frame(Interpreter& owner, int line) : interpreter(owner) {
            owner.step(line);
            if (++owner.frames_ > kDeepestStack)
                throw resource_exhausted(owner.where(line) + "the chat template nests too deeply");
        }
        ~Frame() { --interpreter.frames_; }
        Interpreter& interpreter;
    };

    // ---- statements
    Flow execute(const Block& block, std::string& out) {
        for (const auto& statement : block) {
            if (const Flow flow = execute(*statement, out); flow != Flow::kNormal) return flow;
        }
        return Flow::kNormal;
    }

    Flow execute(const Statement& s, std::string& out) {
        const Frame frame(*this, s.line);
        switch (s.kind) {
            case Statement::Kind::kText:
                emit(out, s.text, s.line);
                break;
            case Statement::Kind::kPrint:
                emit(out, to_text(evaluate(*s.expression)), s.line);
                break;
            case Statement::Kind::kIf:
                return execute(truth(evaluate(*s.expression)) ? s.body : s.otherwise, out);
            case Statement::Kind::kFor:
                return loop(s, out);
            case Statement::Kind::kSet:
                set(s);
                break;
            case Statement::Kind::kSetBlock: {
                std::string text;
                execute(s.body, text);
                assign(s.targets, Value(text), s.line);
                break;
            }
            case Statement::Kind::kMacro:
                scopes_.back().macros[s.text] = &s;
                break;
            case Statement::Kind::kBreak:
                return Flow::kBreak;
            case Statement::Kind::kContinue:
                return Flow::kContinue;
        }
        return Flow::kNormal;
    }

    void assign(const std::vector<std::string>& targets, Value value, int line) {
        if (targets.size() == 1) {
            scopes_.back().values[targets[0]] = std::move(value);
            return;
        }
        if (!value.is_array() || value.size() != targets.size()) {
            throw invalid_argument(where(line) + "expected " + std::to_string(targets.size()) +
                                   " values to unpack, found " + type_name(value));
        }
        for (std::size_t i = 0; i < targets.size(); ++i) scopes_.back().values[targets[i]] = value[i];
    }

    void set(const Statement& s) {
        Value value = evaluate(*s.expression);
        if (s.text.empty()) return assign(s.targets, std::move(value), s.line);
        Value* target = find(s.targets[0]);
        if (!target || !target->is_object())
            throw invalid_argument(where(s.line) + "\"" + s.targets[0] + "\" is no namespace, so " + s.text +
                                   " cannot be set");
        (*target)[s.text] = std::move(value);
    }

    Flow loop(const Statement& s, std::string& out) {
        const Value items = apply_filter("list", evaluate(*s.expression), {where(s.line), {}, {}});
        std::vector<const Value*> kept;
        scopes_.emplace_back();
        for (const Value& item : items) {
            step(s.line);
            if (s.condition) {
                assign(s.targets, item, s.line);
                if (!truth(evaluate(*s.condition))) continue;
            }
            kept.push_back(&item);
        }
        for (std::size_t i = 0; i < kept.size(); ++i) {
            scopes_.back() = Scope();
            assign(s.targets, *kept[i], s.line);
            scopes_.back().values["loop"] = {{"index", i + 1},
                                             {"index0", i},
                                             {"first", i == 0},
                                             {"last", i + 1 == kept.size()},
                                             {"length", kept.size()},
                                             {"revindex", kept.size() - i},
                                             {"revindex0", kept.size() - i - 1}};
            Value& loop = scopes_.back().values["loop"];
            if (i > 0) loop["previtem"] = *kept[i - 1];
            if (i + 1 < kept.size()) loop["nextitem"] = *kept[i + 1];
            if (execute(s.body, out) == Flow::kBreak) break;
        }
        scopes_.pop_back();
        return kept.empty() ? execute(s.otherwise, out) : Flow::kNormal;
    }

    // ---- expressions
    Value evaluate(const Expression& e) {
        const Frame frame(*this, e.line);
        switch (e.kind) {
            case Expression::Kind::kLiteral:
                return e.value;
            case Expression::Kind::kName: {
                const Value* found = find(e.text);
                return found ? *found : undefined();
            }
            case Expression::Kind::kList: {
                Value list = Value::array();
                for (const auto& child : e.children) list.push_back(evaluate(*child));
                return list;
            }
            case Expression::Kind::kDict: {
                Value dict = Value::object();
                for (std::size_t i = 0; i < e.children.size(); i += 2)
                    dict[to_text(evaluate(*e.children[i]))] = evaluate(*e.children[i + 1]);
                return dict;
            }
            case Expression::Kind::kAttribute:
                return member(evaluate(*e.children[0]), Value(e.text), where(e.line));
            case Expression::Kind::kItem:
                return item(e);
            case Expression::Kind::kSlice: {
                Value parts[3] = {undefined(), undefined(), undefined()};
                for (std::size_t i = 0; i < 3; ++i) {
                    if (e.children[i + 1]) parts[i] = evaluate(*e.children[i + 1]);
                }
                return slice(evaluate(*e.children[0]), parts[0], parts[1], parts[2], where(e.line));
            }
            case Expression::Kind::kCall:
                return call(e);
            case Expression::Kind::kFilter:
                return apply_filter(e.text, evaluate(*e.children[0]), arguments(e));
            case Expression::Kind::kTest:
                return apply_test(e.text, evaluate(*e.children[0]), arguments(e));
            case Expression::Kind::kUnary:
                return unary(e);
            case Expression::Kind::kBinary:
                return binary(e);
            case Expression::Kind::kCompare:
                return compare(e);
            case Expression::Kind::kConditional:
                if (truth(evaluate(*e.children[1]))) return evaluate(*e.children[0]);
                return e.children[2] ? evaluate(*e.children[2]) : undefined();
        }
        return undefined();
    }

    /** messages[0]: the list is not copied for one of its members. */
    Value item(const Expression& e) {
        const Value key = evaluate(*e.children[1]);
        if (e.children[0]->kind == Expression::Kind::kName) {
            if (const Value* found = find(e.children[0]->text)) return member(*found, key, where(e.line));
        }
        return member(evaluate(*e.children[0]), key, where(e.line));
    }

    CallArguments arguments(const Expression& e) {
        CallArguments out{where(e.line), {}, {}};
        for (const auto& argument : e.arguments.positional) out.positional.push_back(evaluate(*argument));
        for (const auto& [key, argument] : e.arguments.named) out.named.emplace_back(key, evaluate(*argument));
        return out;
    }

    Value call(const Expression& e) {
        const Expression& callee = *e.children[0];
        const CallArguments a = arguments(e);
        if (callee.kind == Expression::Kind::kAttribute) {
            if (callee.children[0]->kind == Expression::Kind::kName && callee.children[0]->text == "loop" &&
                callee.text == "cycle" && !a.positional.empty()) {
                const Value* loop = find("loop");
                if (loop && loop->contains("index0"))
                    return a.positional[(*loop)["index0"].get<std::size_t>() % a.positional.size()];
            }
            return call_method(evaluate(*callee.children[0]), callee.text, a);
        }
        if (callee.kind != Expression::Kind::kName)
            throw invalid_argument(a.where + "only names and methods can be called");
        if (const Statement* macro = find_macro(callee.text)) return call_macro(*macro, a);
        if (callee.text == "namespace" || callee.text == "dict") {
            Value out = a.positional.empty() ? Value::object() : a.positional[0];
            for (const auto& [key, value] : a.named) out[key] = value;
            return out;
        }
        if (callee.text == "range") return range(a);
        if (callee.text == "raise_exception")
            throw invalid_argument(a.where + "the chat template refuses its input: " + to_text(a.get(0, "message")));
        if (callee.text == "strftime_now") return time_now(to_text(a.get(0, "format")));
        throw unimplemented(a.where + "the function \"" + callee.text +
                            "\" is not supported; known: range, namespace, dict, raise_exception, strftime_now and "
                            "macros of the template");
    }

    Value call_macro(const Statement& macro, const CallArguments& a) {
        if (++calls_ > kDeepestCall) throw resource_exhausted(a.where + "macros call each other more than 100 deep");
        Scope scope;
        for (std::size_t i = 0; i < macro.targets.size(); ++i) {
            Value value = a.get(i, macro.targets[i].c_str());
            if (is_undefined(value) && macro.defaults[i]) value = evaluate(*macro.defaults[i]);
            scope.values[macro.targets[i]] = std::move(value);
        }
        // A macro sees the template's own variables, not those of the place that calls it.
        std::vector<Scope> outer;
        outer.swap(scopes_);
        scopes_.push_back(std::move(outer[0]));
        scopes_.push_back(std::move(scope));
        std::string text;
        execute(macro.body, text);
        outer[0] = std::move(scopes_[0]);
        scopes_ = std::move(outer);
        --calls_;
        return text;
    }

    static Value time_now(const std::string& format) {
        const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
        std::tm parts{};
        localtime_r(&now, &parts);
        char buffer[256];
        const std::size_t size = std::strftime(buffer, sizeof buffer, format.c_str(), &parts);
        return std::string(buffer, size);
    }

    Value range(const CallArguments& a) {
        std::int64_t bounds[3] = {0, 0, 1};
        const std::size_t count = a.positional.size();
        for (std::size_t i = 0; i < count && i < 3; ++i) {
            const Value& value = a.positional[i];
            if (!value.is_number_integer() || std::abs(value.get<double>()) > 1e15)
                throw invalid_argument(a.where + "range needs integers");
            bounds[count == 1 ? 1 : i] = value.get<std::int64_t>();
        }
        if (count == 0 || count > 3 || bounds[2] == 0)
            throw invalid_argument(a.where + "range needs one to three integers and a step other than 0");
        Value out = Value::array();
        for (std::int64_t i = bounds[0]; bounds[2] > 0 ? i < bounds[1] : i > bounds[1]; i += bounds[2]) {
            if (static_cast<std::int64_t>(out.size()) >= kLongestRange)
                throw resource_exhausted(a.where + "a range is longer than 100000");
            out.push_back(i);
        }
        return out;
    }

    Value unary(const Expression& e) {
        Value value = evaluate(*e.children[0]);
        if (e.text == "not") return !truth(value);
        if (!value.is_number())
            throw invalid_argument(where(e.line) + "the sign " + e.text + " needs a number, found " + type_name(value));
        if (e.text == "+") return value;
        return value.is_number_float() ? Value(-value.get<double>()) : arithmetic("-", Value(0), value, e.line);
    }

    Value binary(const Expression& e) {
        Value left = evaluate(*e.children[0]);
        if (e.text == "and" || e.text == "or") return truth(left) == (e.text == "or") ? left : evaluate(*e.children[1]);
        const Value right = evaluate(*e.children[1]);
        if (e.text == "~") return to_text(left) + to_text(right);
        if (e.text == "+" && left.is_string() && right.is_string()) {
            auto& text = left.get_ref<std::string&>();
            if (text.size() + right.get_ref<const std::string&>().size() > kMostOutput) {
                throw resource_exhausted(where(e.line) + "a string grows beyond 64 MiB");
            }
            text += right.get_ref<const std::string&>();
            return left;
        }
        if (e.text == "+" && left.is_array() && right.is_array()) {
            for (const Value& value : right) left.push_back(value);
            return left;
        }
        return arithmetic(e.text, left, right, e.line);
    }

    Value arithmetic(const std::string& operation, const Value& left, const Value& right, int line) {
        const auto number = [](const Value& v) { return v.is_number() || v.is_boolean(); };
        if (!number(left) || !number(right)) {
            throw invalid_argument(where(line) + "the operator " + operation + " needs two numbers" +
                                   (operation == "+" ? ", strings or lists" : "") + ", found " + type_name(left) +
                                   " and " + type_name(right));
        }
        const auto real = [](const Value& v) {
            return v.is_boolean() ? static_cast<double>(v.get<bool>()) : v.get<double>();
        };
        const double x = real(left), y = real(right);
        if (y == 0 && (operation == "/" || operation == "//" || operation == "%"))
            throw invalid_argument(where(line) + "division by zero");
        double result = 0;
        if (operation == "+") result = x + y;
        if (operation == "-") result = x - y;
        if (operation == "*") result = x * y;
        if (operation == "/") return x / y;
        if (operation == "//") result = std::floor(x / y);
        if (operation == "%") result = x - y * std::floor(x / y);
        if (operation == "**") result = std::pow(x, y);
        const bool whole = !left.is_number_float() && !right.is_number_float() && !(operation == "**" && y < 0);
        if (!whole) return result;
        // Integers of templates are counts; up to 2^53 doubles hold them exactly.
        if (std::abs(result) > 9007199254740992.0) throw invalid_argument(where(line) + "an integer grows beyond 2^53");
        return static_cast<std::int64_t>(result);
    }

    Value compare(const Expression& e) {
        Value left = evaluate(*e.children[0]);
        for (std::size_t i = 0; i < e.operators.size(); ++i) {
            Value right = evaluate(*e.children[i + 1]);
            if (!compare(e.operators[i], left, right, e.line)) return false;
            left = std::move(right);
        }
        return true;
    }

    bool compare(const std::string& operation, const Value& left, const Value& right, int line) {
        if (operation == "==") return equal(left, right);
        if (operation == "!=") return !equal(left, right);
        if (operation == "in" || operation == "not in") {
            if (!right.is_string() && !right.is_structured() && !is_undefined(right)) {
                throw invalid_argument(where(line) + "\"in\" needs a string, list or dict, found " + type_name(right));
            }
            return apply_test("in", left, {where(line), {right}, {}}) == (operation == "in");
        }
        if (operation == "<") return less(left, right, where(line));
        if (operation == ">") return less(right, left, where(line));
        return operation == "<=" ? !less(right, left, where(line)) : !less(left, right, where(line));
    }

    const std::string& name_;
    std::vector<Scope> scopes_;
    long steps_ = 0;
    int calls_ = 0, frames_ = 0;
};

}  // namespace

std::string run(const Block& program, const Value& variables, const std::string& name) {
    return Interpreter(variables, name).run(program);
}

}  // namespace vlm::jinja
