/** @file grammar.cpp
 *  See grammar.hpp.
 */
#include "host/pipeline/grammar.hpp"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>

#include "host/base/error.hpp"

namespace vlm {

/** Recursive descent over GBNF. Repetitions become rules of their own. */
class GrammarReader {
  public:
    GrammarReader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

    Grammar read() {
        for (skip_blank(true); at_ < text_.size(); skip_blank(true)) {
            const std::string rule = identifier();
            skip_blank(false);
            if (text_.substr(at_, 3) != "::=") fail("expected ::= behind the rule name \"" + rule + "\"");
            at_ += 3;
            const auto index = static_cast<size_t>(rule_index(rule));
            if (!grammar_.rules_[index].empty()) fail("rule \"" + rule + "\" is given twice");
            auto alternatives = read_alternatives(0);
            grammar_.rules_[index] = std::move(alternatives);
            if (at_ < text_.size() && text_[at_] != '\n') fail("expected the end of the rule");
        }
        if (grammar_.rules_.empty()) fail("there is no rule");
        for (const auto& [rule, index] : index_)
            if (grammar_.rules_[static_cast<size_t>(index)].empty())
                fail("rule \"" + rule + "\" is used and not given");
        refuse_left_recursion();
        return std::move(grammar_);
    }

  private:
    static constexpr int kDeepest = 64;  ///< Nested groups.

    [[noreturn]] void fail(const std::string& reason) const {
        const auto line = 1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(at_), '\n');
        throw invalid_argument(name_ + ", line " + std::to_string(line) + ": " + reason);
    }

    void skip_blank(bool lines) {
        for (; at_ < text_.size(); ++at_) {
            const char c = text_[at_];
            if (c == '#')
                while (at_ + 1 < text_.size() && text_[at_ + 1] != '\n') ++at_;
            else if (c != ' ' && c != '\t' && c != '\r' && !(lines && c == '\n'))
                return;
        }
    }

    static bool is_name(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
    }

    std::string identifier() {
        const size_t begin = at_;
        while (at_ < text_.size() && is_name(text_[at_])) ++at_;
        if (at_ == begin) fail("expected the name of a rule");
        return std::string(text_.substr(begin, at_ - begin));
    }

    int32_t add_rule() {
        grammar_.rules_.emplace_back();
        return static_cast<int32_t>(grammar_.rules_.size() - 1);
    }

    int32_t rule_index(const std::string& rule) {
        const auto known = index_.find(rule);
        return known != index_.end() ? known->second : index_[rule] = add_rule();
    }

    /** Whether another alternative follows, perhaps on the next line. */
    bool next_is_bar() {
        const size_t here = at_;
        skip_blank(true);
        if (at_ < text_.size() && text_[at_] == '|') return true;
        at_ = here;
        return false;
    }

    Grammar::Rule read_alternatives(int depth) {
        if (depth > kDeepest) fail("groups are nested too deeply");
        Grammar::Rule rule{read_sequence(depth)};
        while (next_is_bar()) {
            ++at_;
            skip_blank(true);
            rule.push_back(read_sequence(depth));
        }
        return rule;
    }

    Grammar::Sequence read_sequence(int depth) {
        Grammar::Sequence sequence;
        for (skip_blank(depth > 0); at_ < text_.size(); skip_blank(depth > 0)) {
            const char c = text_[at_];
            if (c == '|' || c == ')' || c == '\n') break;
            const size_t begin = sequence.size();
            if (c == '"') {
                read_literal(sequence);
            } else if (c == '[') {
                sequence.push_back({read_class(), -1});
            } else if (c == '(') {
                ++at_;
                auto inside = read_alternatives(depth + 1);
                if (at_ >= text_.size() || text_[at_] != ')') fail("expected ) at the end of a group");
                ++at_;
                const int32_t group = add_rule();
                grammar_.rules_[static_cast<size_t>(group)] = std::move(inside);
                sequence.push_back({{}, group});
            } else {
                sequence.push_back({{}, rule_index(identifier())});
            }
            repeat(sequence, begin);
        }
        return sequence;
    }

    /** Applies a `*`, `+` or `?` to what was read last. */
    void repeat(Grammar::Sequence& sequence, size_t begin) {
        if (at_ >= text_.size() || (text_[at_] != '*' && text_[at_] != '+' && text_[at_] != '?')) return;
        const char kind = text_[at_++];
        const Grammar::Sequence item(sequence.begin() + static_cast<std::ptrdiff_t>(begin), sequence.end());
        if (item.empty()) fail("there is nothing to repeat");
        const int32_t again = add_rule();
        Grammar::Sequence once = item;
        if (kind != '?') once.push_back({{}, again});
        grammar_.rules_[static_cast<size_t>(again)] = {std::move(once), {}};
        sequence.resize(begin);
        if (kind == '+') sequence.insert(sequence.end(), item.begin(), item.end());
        sequence.push_back({{}, again});
    }

    void read_literal(Grammar::Sequence& sequence) {
        for (++at_; at_ < text_.size() && text_[at_] != '"';) {
            Grammar::Element element;
            element.bytes.set(read_byte());
            sequence.push_back(element);
        }
        if (at_ >= text_.size()) fail("a literal has no closing quote");
        ++at_;
    }

    std::bitset<256> read_class() {
        ++at_;
        const bool negated = at_ < text_.size() && text_[at_] == '^';
        if (negated) ++at_;
        std::bitset<256> bytes;
        while (at_ < text_.size() && text_[at_] != ']') {
            const uint8_t first = read_byte();
            uint8_t last = first;
            if (at_ + 1 < text_.size() && text_[at_] == '-' && text_[at_ + 1] != ']') {
                ++at_;
                last = read_byte();
            }
            if (first > 127 || last > 127) fail("a class holds ASCII characters only; use alternatives for others");
            if (last < first) fail("the range of a class runs backwards");
            for (int b = first; b <= last; ++b) bytes.set(static_cast<size_t>(b));
        }
        if (at_ >= text_.size()) fail("a class has no closing ]");
        ++at_;
        return negated ? ~bytes : bytes;
    }

    uint8_t read_byte() {
        const char c = text_[at_++];
        if (c == '\n') fail("a line ends inside a literal or class");
        if (c != '\\') return static_cast<uint8_t>(c);
        if (at_ >= text_.size()) fail("an escape is cut off");
        const char e = text_[at_++];
        switch (e) {
            case 'n':
                return '\n';
            case 't':
                return '\t';
            case 'r':
                return '\r';
            case 'x':
                return read_hex();
            default:
                if (is_name(e)) fail(std::string("unknown escape \\") + e);
                return static_cast<uint8_t>(e);
        }
    }

    uint8_t read_hex() {
        int value = 0;
        for (int i = 0; i < 2; ++i, ++at_) {
            const size_t digit = at_ < text_.size() ? std::string_view("0123456789abcdef").find(text_[at_] | 32) : 16;
            if (digit >= 16) fail("\\x needs two hexadecimal digits");
            value = value * 16 + static_cast<int>(digit);
        }
        return static_cast<uint8_t>(value);
    }

    /** A rule that can reach itself without taking a byte would expand for ever. */
    void refuse_left_recursion() const {
        const auto& rules = grammar_.rules_;
        std::vector<bool> empty(rules.size(), false);
        for (bool changed = true; changed;) {
            changed = false;
            for (size_t r = 0; r < rules.size(); ++r) {
                const bool can = std::any_of(rules[r].begin(), rules[r].end(), [&](const auto& sequence) {
                    return std::all_of(sequence.begin(), sequence.end(), [&](const auto& e) {
                        return e.rule >= 0 && empty[static_cast<size_t>(e.rule)];
                    });
                });
                if (can && !empty[r]) changed = empty[r] = true;
            }
        }
        enum { unseen, open, closed };
        std::vector<int> state(rules.size(), unseen);
        struct Visit {
            size_t rule;
            std::vector<size_t> next;
        };
        const auto heads = [&](size_t r) {
            std::vector<size_t> next;
            for (const auto& sequence : rules[r])
                for (const auto& e : sequence) {
                    if (e.rule < 0) break;
                    next.push_back(static_cast<size_t>(e.rule));
                    if (!empty[static_cast<size_t>(e.rule)]) break;
                }
            return next;
        };
        for (size_t root = 0; root < rules.size(); ++root) {
            if (state[root] != unseen) continue;
            std::vector<Visit> path{{root, heads(root)}};
            state[root] = open;
            while (!path.empty()) {
                if (path.back().next.empty()) {
                    state[path.back().rule] = closed;
                    path.pop_back();
                    continue;
                }
                const size_t next = path.back().next.back();
                path.back().next.pop_back();
                if (state[next] == open)
                    throw invalid_argument(name_ + ": rule \"" + rule_name(next) +
                                           "\" can begin with itself; write the repetition with * or at the end");
                if (state[next] == unseen) {
                    state[next] = open;
                    path.push_back({next, heads(next)});
                }
            }
        }
    }

    std::string rule_name(size_t index) const {
        for (const auto& [rule, i] : index_)
            if (static_cast<size_t>(i) == index) return rule;
        return "(a group or repetition)";
    }

    std::string_view text_;
    std::string name_;
    size_t at_ = 0;
    Grammar grammar_;
    std::map<std::string, int32_t> index_;
};

std::shared_ptr<const Grammar> Grammar::parse(std::string_view text, const std::string& name) {
    return std::make_shared<const Grammar>(GrammarReader(text, name).read());
}

std::shared_ptr<const Grammar> Grammar::from_file(const std::filesystem::path& file) {
    constexpr std::uintmax_t kMost = 1 << 20;
    std::error_code failure;
    const auto size = std::filesystem::file_size(file, failure);
    if (failure) throw not_found(file.string() + ": this grammar cannot be read: " + failure.message());
    if (size > kMost)
        throw invalid_argument(file.string() + ": a grammar of " + std::to_string(size) +
                               " bytes is not read; at most 1 MB is");
    std::ifstream in(file, std::ios::binary);
    const std::string text{std::istreambuf_iterator<char>(in), {}};
    return parse(text, file.string());
}

GrammarState::GrammarState(std::shared_ptr<const Grammar> grammar) : grammar_(std::move(grammar)) {
    const auto& start = grammar_->rules().front();
    for (size_t a = 0; a < start.size(); ++a) expand({{0, static_cast<int32_t>(a), 0}}, stacks_);
}

void GrammarState::expand(Stack stack, Stacks& into) const {
    const auto& rules = grammar_->rules();
    const auto element_at = [&](const Place& p) -> const Grammar::Element* {
        const auto& sequence = rules[static_cast<size_t>(p.rule)][static_cast<size_t>(p.alternative)];
        return static_cast<size_t>(p.element) < sequence.size() ? &sequence[static_cast<size_t>(p.element)] : nullptr;
    };
    std::vector<Stack> open{std::move(stack)};
    while (!open.empty()) {
        Stack top = std::move(open.back());
        open.pop_back();
        while (!top.empty() && element_at(top.back()) == nullptr) top.pop_back();
        const Grammar::Element* element = top.empty() ? nullptr : element_at(top.back());
        if (element == nullptr || element->rule < 0) {
            into.insert(std::move(top));
            continue;
        }
        ++top.back().element;
        // A sequence that is finished needs no place any more: right recursion stays flat.
        if (element_at(top.back()) == nullptr) top.pop_back();
        const auto count = rules[static_cast<size_t>(element->rule)].size();
        for (size_t a = 0; a < count; ++a) {
            Stack inner = top;
            inner.push_back({element->rule, static_cast<int32_t>(a), 0});
            open.push_back(std::move(inner));
        }
    }
}

GrammarState::Stacks GrammarState::step(const Stacks& from, uint8_t byte) const {
    Stacks to;
    for (const auto& stack : from) {
        if (stack.empty()) continue;
        const auto& p = stack.back();
        const auto& element = grammar_->rules()[static_cast<size_t>(p.rule)][static_cast<size_t>(p.alternative)]
                                               [static_cast<size_t>(p.element)];
        if (!element.bytes[byte]) continue;
        Stack next = stack;
        ++next.back().element;
        expand(std::move(next), to);
    }
    return to;
}

bool GrammarState::accepts(std::string_view bytes) const {
    GrammarState copy = *this;
    return copy.advance(bytes);
}

bool GrammarState::advance(std::string_view bytes) {
    Stacks stacks = stacks_;
    for (const char c : bytes) {
        stacks = step(stacks, static_cast<uint8_t>(c));
        if (stacks.empty()) return false;
    }
    stacks_ = std::move(stacks);
    return true;
}

bool GrammarState::may_end() const {
    return stacks_.contains(Stack{});
}

std::bitset<256> GrammarState::next() const {
    std::bitset<256> bytes;
    for (const auto& stack : stacks_) {
        if (stack.empty()) continue;
        const auto& p = stack.back();
        bytes |= grammar_
                     ->rules()[static_cast<size_t>(p.rule)][static_cast<size_t>(p.alternative)]
                              [static_cast<size_t>(p.element)]
                     .bytes;
    }
    return bytes;
}

}  // namespace vlm
