/** @file regex.hpp
 *  Oniguruma, the regex engine that tokenizer.json files are written for: its default syntax, its `\p{..}` classes, its
 * look-ahead. Patterns come from files, so every search runs under a step and a stack limit and fails with an error
 * instead of hanging.
 */
#pragma once
#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace vlm::tok {

/** A part of a text, and whether a pattern matched it. */
struct Span {
    std::size_t begin, end;
    bool match;
};

/** A compiled pattern: a regular expression or a literal. Immutable and safe to use from many threads. */
class Pattern {
  public:
    /** Compiles a regular expression. @throws Error INVALID_ARGUMENT with Oniguruma's message; `where` names file and
     * field */
    static Pattern regex(std::string_view expression, const std::string& where);

    /** A literal string. */
    static Pattern literal(std::string_view text, const std::string& where);

    /** The text in order, cut into matches and what lies between. An empty text gives one empty span that is no match.
     *  @throws Error RESOURCE_EXHAUSTED when the expression needs more steps or stack than a text of this length can
     * warrant */
    std::vector<Span> spans(std::string_view text) const;

  private:
    struct Compiled;
    std::shared_ptr<const Compiled> compiled_;
};

}  // namespace vlm::tok
