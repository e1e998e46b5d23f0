/** @file regex.cpp
 *  The limits grow with the text: an honest pattern needs steps in proportion to the characters that it looks at, a
 * catastrophic one needs more than any multiple of that. The floor is Oniguruma's own default for one match.
 */
#include "host/tokenizer/regex.hpp"

#include <oniguruma.h>

#include <mutex>

#include "host/base/error.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {
namespace {

constexpr unsigned long kStepsFloor = 10'000'000, kStepsPerByte = 64;
constexpr unsigned int kStackFloor = 1'000'000, kStackPerByte = 8;

struct FreeRegion {
    void operator()(OnigRegion* region) const { onig_region_free(region, 1); }
};
struct FreeParam {
    void operator()(OnigMatchParam* param) const { onig_free_match_param(param); }
};

void initialize_once() {
    static std::once_flag once;
    std::call_once(once, [] {
        OnigEncoding encodings[] = {ONIG_ENCODING_UTF8};
        onig_initialize(encodings, 1);
    });
}

std::string describe(int code, const OnigErrorInfo* info) {
    OnigUChar buffer[ONIG_MAX_ERROR_MESSAGE_LEN];
    const int size = info ? onig_error_code_to_str(buffer, code, info) : onig_error_code_to_str(buffer, code);
    return {reinterpret_cast<const char*>(buffer), static_cast<std::size_t>(size)};
}

/** `[:punct:]` written out. From Oniguruma 6.9.9 on, which the reference carries, it has symbols too ("$", "+"); Debian
 * 12 has 6.9.8. */
std::string with_symbols_as_punctuation(std::string_view expression) {
    const std::pair<std::string_view, std::string_view> words[] = {{"[:punct:]", "\\p{P}\\p{S}"},
                                                                   {"[:^punct:]", "[^\\p{P}\\p{S}]"}};
    std::string out;
    int depth = 0;  // of brackets: outside of them the words are lists of letters
    for (std::size_t i = 0; i < expression.size();) {
        const std::string_view rest = expression.substr(i);
        std::size_t taken = rest[0] == '\\' && rest.size() > 1 ? 2 : 1;
        std::string_view written = rest.substr(0, taken);
        if (depth > 0)
            for (const auto& [word, meaning] : words)
                if (rest.starts_with(word)) {
                    taken = word.size();
                    written = meaning;
                }
        if (written == "[") ++depth;
        if (written == "]" && depth > 0) --depth;
        out += written;
        i += taken;
    }
    return out;
}

}  // namespace

struct Pattern::Compiled {
    std::string where, source;
    regex_t* regex = nullptr;  ///< Null for a literal.

    Compiled() = default;
    Compiled(const Compiled&) = delete;
    Compiled& operator=(const Compiled&) = delete;
    ~Compiled() { onig_free(regex); }
};

Pattern Pattern::regex(std::string_view expression, const std::string& where) {
    initialize_once();
    auto compiled = std::make_shared<Compiled>();
    compiled->where = where;
    compiled->source = expression;
    const std::string written = with_symbols_as_punctuation(expression);
    const auto* begin = reinterpret_cast<const OnigUChar*>(written.data());
    OnigErrorInfo info{};
    const int code = onig_new(&compiled->regex, begin, begin + written.size(), ONIG_OPTION_NONE, ONIG_ENCODING_UTF8,
                              ONIG_SYNTAX_DEFAULT, &info);
    if (code != ONIG_NORMAL) {
        compiled->regex = nullptr;
        throw invalid_argument(where + ": the regular expression \"" + std::string(expression) +
                               "\" does not compile: " + describe(code, &info) + "; expected Oniguruma syntax");
    }
    Pattern pattern;
    pattern.compiled_ = std::move(compiled);
    return pattern;
}

Pattern Pattern::literal(std::string_view text, const std::string& where) {
    if (text.empty()) return regex("", where);  // Matches at every boundary, as an empty expression does.
    auto compiled = std::make_shared<Compiled>();
    compiled->where = where;
    compiled->source = text;
    Pattern pattern;
    pattern.compiled_ = std::move(compiled);
    return pattern;
}

std::vector<Span> Pattern::spans(std::string_view text) const {
    if (text.empty()) return {{0, 0, false}};
    std::vector<Span> out;
    std::size_t covered = 0;
    const auto add = [&](std::size_t begin, std::size_t end) {
        if (covered != begin) out.push_back({covered, begin, false});
        out.push_back({begin, end, true});
        covered = end;
    };
    if (!compiled_->regex) {
        const std::string& literal = compiled_->source;
        for (std::size_t hit; (hit = text.find(literal, covered)) != std::string_view::npos;)
            add(hit, hit + literal.size());
    } else {
        const std::unique_ptr<OnigRegion, FreeRegion> region(onig_region_new());
        const std::unique_ptr<OnigMatchParam, FreeParam> param(onig_new_match_param());
        if (!region || !param)
            throw resource_exhausted(compiled_->where + ": no memory for a regular expression search");
        onig_initialize_match_param(param.get());
        const unsigned long steps = kStepsFloor + kStepsPerByte * text.size();
        onig_set_retry_limit_in_match_of_match_param(param.get(), steps);
        onig_set_retry_limit_in_search_of_match_param(param.get(), 4 * steps);
        onig_set_match_stack_limit_size_of_match_param(
            param.get(),
            kStackFloor + kStackPerByte * static_cast<unsigned int>(std::min<std::size_t>(text.size(), 1u << 28)));
        const auto* begin = reinterpret_cast<const OnigUChar*>(text.data());
        const auto* end = begin + text.size();
        std::size_t from = 0;
        std::size_t last_end = std::string_view::npos;
        while (from <= text.size()) {
            const int at = onig_search_with_param(compiled_->regex, begin, end, begin + from, end, region.get(),
                                                  ONIG_OPTION_NONE, param.get());
            if (at == ONIG_MISMATCH) break;
            if (at < 0) {
                throw resource_exhausted(compiled_->where + ": the regular expression \"" + compiled_->source +
                                         "\" gave up on a text of " + std::to_string(text.size()) +
                                         " bytes: " + describe(at, nullptr) +
                                         "; it backtracks too much, so the file should use a simpler one");
            }
            const auto match_begin = static_cast<std::size_t>(region->beg[0]),
                       match_end = static_cast<std::size_t>(region->end[0]);
            if (match_begin == match_end &&
                match_end == last_end) {  // An empty match right behind the last one: step on.
                from += from < text.size() ? sequence_length(text[from]) : 1;
                continue;
            }
            add(match_begin, match_end);
            from = last_end = match_end;
        }
    }
    if (covered != text.size()) out.push_back({covered, text.size(), false});
    return out;
}

}  // namespace vlm::tok
