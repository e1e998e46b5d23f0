/** @file jinja_lexer.cpp
 *  A newline is counted where the scanner passes it, so every token knows its line.
 */
#include "host/tokenizer/jinja_lexer.hpp"

#include <algorithm>

#include "host/base/error.hpp"

namespace vlm::jinja {
namespace {

bool is_space(char c) {
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}
bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || is_digit(c);
}

class Lexer {
  public:
    Lexer(const std::string& source, const std::string& name) : name_(name) {
        for (std::size_t i = 0; i < source.size(); ++i) {  // Jinja reads every kind of line end as \n.
            if (source[i] != '\r') {
                source_ += source[i];
            } else if (i + 1 >= source.size() || source[i + 1] != '\n') {
                source_ += '\n';
            }
        }
        if (!source_.empty() && source_.back() == '\n') source_.pop_back();
    }

    std::vector<Token> run() {
        while (pos_ < source_.size()) read_text();
        add(Token::Kind::kEnd, "");
        return std::move(tokens_);
    }

  private:
    [[noreturn]] void fail(const std::string& problem) const {
        throw invalid_argument(name_ + ":" + std::to_string(line_) + ": " + problem);
    }
    void add(Token::Kind kind, std::string text) { tokens_.push_back({kind, std::move(text), line_}); }
    bool at(std::string_view text) const { return source_.compare(pos_, text.size(), text) == 0; }
    void advance(std::size_t to) {
        line_ += static_cast<int>(std::count(source_.begin() + static_cast<std::ptrdiff_t>(pos_),
                                             source_.begin() + static_cast<std::ptrdiff_t>(to), '\n'));
        pos_ = to;
    }

    /** The text before the next tag, then the tag. */
    void read_text() {
        std::size_t tag = pos_;
        while ((tag = source_.find('{', tag)) != std::string::npos && tag + 1 < source_.size() &&
               std::string_view("{%#").find(source_[tag + 1]) == std::string_view::npos) {
            ++tag;
        }
        if (tag == std::string::npos || tag + 1 >= source_.size()) tag = source_.size();
        std::string text = source_.substr(pos_, tag - pos_);
        if (tag < source_.size()) {
            const char kind = source_[tag + 1], control = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
            if (control == '-') {
                while (!text.empty() && is_space(text.back())) text.pop_back();
            } else if (kind != '{' &&
                       control != '+') {  // lstrip_blocks: only when nothing but blanks is before it on its line
                const std::size_t keep = text.find_last_not_of(" \t");
                const bool line_begin =
                    keep == std::string::npos ? pos_ == 0 || source_[pos_ - 1] == '\n' : text[keep] == '\n';
                if (line_begin) text.erase(keep == std::string::npos ? 0 : keep + 1);
            }
        }
        if (!text.empty()) add(Token::Kind::kText, text);
        advance(tag);
        if (tag < source_.size()) read_tag();
    }

    void read_tag() {
        const char kind = source_[pos_ + 1];
        advance(pos_ + 2);
        if (kind == '#') {
            const std::size_t end = source_.find("#}", pos_);
            if (end == std::string::npos) fail("a comment {# is not closed");
            const char control = end > pos_ ? source_[end - 1] : ' ';
            advance(end + 2);
            after_tag(control == '-' || control == '+' ? control : ' ', true);
            return;
        }
        const bool block = kind == '%';
        if (pos_ < source_.size() && (source_[pos_] == '-' || source_[pos_] == '+')) advance(pos_ + 1);
        add(block ? Token::Kind::kBlockBegin : Token::Kind::kPrintBegin, "");
        const std::string_view close = block ? "%}" : "}}";
        int depth = 0;  // In {{ {'a': {}} }} the inner braces do not close the tag.
        while (true) {
            while (pos_ < source_.size() && is_space(source_[pos_])) advance(pos_ + 1);
            if (pos_ >= source_.size()) fail(std::string("a tag is not closed; expected ") + std::string(close));
            const bool controlled = source_[pos_] == '-' || (block && source_[pos_] == '+');
            if (depth == 0 && (at(close) || (controlled && source_.compare(pos_ + 1, 2, close) == 0))) {
                const char control = controlled ? source_[pos_] : ' ';
                add(block ? Token::Kind::kBlockEnd : Token::Kind::kPrintEnd, "");
                advance(pos_ + (controlled ? 3 : 2));
                after_tag(control, block);
                return;
            }
            if (source_[pos_] == '{') ++depth;
            if (source_[pos_] == '}') --depth;
            read_token();
        }
    }

    /** Removes the white space behind a tag that its control sign or trim_blocks asks for. */
    void after_tag(char control, bool block) {
        if (control == '-') {
            while (pos_ < source_.size() && is_space(source_[pos_])) advance(pos_ + 1);
        } else if (block && control != '+' && pos_ < source_.size() && source_[pos_] == '\n') {
            advance(pos_ + 1);
        }
    }

    void read_token() {
        const char c = source_[pos_];
        std::size_t end = pos_ + 1;
        if (c == '"' || c == '\'') return read_string(c);
        if (is_digit(c)) {
            while (end < source_.size() && (is_digit(source_[end]) || source_[end] == '_')) ++end;
            const bool fraction = end + 1 < source_.size() && source_[end] == '.' && is_digit(source_[end + 1]);
            if (fraction) {
                for (++end; end < source_.size() && is_digit(source_[end]);) ++end;
            }
            std::string digits = source_.substr(pos_, end - pos_);
            digits.erase(std::remove(digits.begin(), digits.end(), '_'), digits.end());
            add(fraction ? Token::Kind::kFloat : Token::Kind::kInteger, digits);
        } else if (is_name(c)) {
            while (end < source_.size() && is_name(source_[end])) ++end;
            add(Token::Kind::kName, source_.substr(pos_, end - pos_));
        } else {
            for (const std::string_view two : {"==", "!=", "<=", ">=", "//", "**"}) {
                if (at(two)) end = pos_ + 2;
            }
            if (end == pos_ + 1 && std::string_view("+-*/%~<>=.,:|()[]{}").find(c) == std::string_view::npos) {
                fail(std::string("found the character ") + c + ", expected an expression");
            }
            add(Token::Kind::kOperator, source_.substr(pos_, end - pos_));
        }
        advance(end);
    }

    void read_string(char quote) {
        std::string text;
        std::size_t end = pos_ + 1;
        for (; end < source_.size() && source_[end] != quote; ++end) {
            if (source_[end] != '\\' || end + 1 >= source_.size()) {
                text += source_[end];
                continue;
            }
            const char c = source_[++end];
            switch (c) {
                case 'n':
                    text += '\n';
                    break;
                case 't':
                    text += '\t';
                    break;
                case 'r':
                    text += '\r';
                    break;
                case '\\':
                case '\'':
                case '"':
                    text += c;
                    break;
                default:
                    fail(std::string("the escape \\") + c +
                         " in a string is not supported; known: \\n \\t \\r \\\\ \\' \\\"");
            }
        }
        if (end >= source_.size()) fail("a string is not closed");
        add(Token::Kind::kString, text);
        advance(end + 1);
    }

    std::string source_;
    const std::string& name_;
    std::size_t pos_ = 0;
    int line_ = 1;
    std::vector<Token> tokens_;
};

}  // namespace

std::vector<Token> tokenize(const std::string& source, const std::string& name) {
    return Lexer(source, name).run();
}

}  // namespace vlm::jinja
