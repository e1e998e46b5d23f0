/** @file grammar.hpp
 *  Grammars that an answer must follow.
 *
 *  A program that reads answers needs them well-formed, and a small model now and then forgets a closing tag. The
 * notation is the field's GBNF in its common part: `name ::= sequence | sequence`, literals in double quotes with the
 * escapes of JSON, classes of single bytes such as `[0-9a-f]` and `[^<]` (ASCII members; a negated class lets the bytes
 * of other characters pass, so any text fits through `[^<]*`), groups, and `*`, `+`, `?`. The first rule is where an
 * answer begins; `#` starts a comment.
 *
 *  A state is the set of stacks of a pushdown automaton over bytes. Rules must not be left-recursive, which is checked
 * when a grammar is read; everything else follows from that: an expansion ends, and a state is finite.
 */
#pragma once
#include <bitset>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace vlm {

/** A grammar. Immutable. */
class Grammar {
  public:
    /** One step of an alternative: a byte of a set, or a rule. */
    struct Element {
        std::bitset<256> bytes;
        int32_t rule = -1;  ///< Below zero: `bytes`.
    };
    using Sequence = std::vector<Element>;
    using Rule = std::vector<Sequence>;

    /** Reads GBNF; `name` is what messages call it. @throws Error INVALID_ARGUMENT with line and reason: a mistake in
     * the notation, a rule that is missing, given twice, or left-recursive. */
    static std::shared_ptr<const Grammar> parse(std::string_view text, const std::string& name);

    /** Reads a file of at most 1 MB. @throws Error NOT_FOUND, and as parse(). */
    static std::shared_ptr<const Grammar> from_file(const std::filesystem::path& file);

    const std::vector<Rule>& rules() const { return rules_; }  ///< The first is the start.

  private:
    friend class GrammarReader;
    std::vector<Rule> rules_;
};

/** Where an answer stands. Copies are cheap for the grammars of answers. */
class GrammarState {
  public:
    explicit GrammarState(std::shared_ptr<const Grammar> grammar);

    /** Whether these bytes may come next, all of them. */
    bool accepts(std::string_view bytes) const;
    /** Takes bytes; false, and nothing has changed, when they may not come. */
    bool advance(std::string_view bytes);
    /** Whether the answer may end here. */
    bool may_end() const;
    /** Bytes that may come next. */
    std::bitset<256> next() const;

  private:
    /** What is still to come: position in a sequence, and the sequences around it, innermost last. */
    struct Place {
        int32_t rule;
        int32_t alternative;
        int32_t element;
        // clang-tidy 14 takes the comparison that this makes for one with a null pointer.
        auto operator<=>(const Place&) const = default;  // NOLINT(modernize-use-nullptr)
    };
    using Stack = std::vector<Place>;
    using Stacks = std::set<Stack>;

    void expand(Stack stack, Stacks& into) const;
    Stacks step(const Stacks& from, uint8_t byte) const;

    std::shared_ptr<const Grammar> grammar_;
    Stacks stacks_;  ///< The top of each is a byte set; the empty one is the end.
};

}  // namespace vlm
