/** @file text.hpp
 *  The string that normalizers and pre-tokenizers rewrite. The reference keeps a full alignment with the original text;
 * the only thing that can change ids is whether a piece begins at the original's first character (Metaspace's
 * `prepend_scheme: first`), so only that is kept.
 */
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "host/tokenizer/utf8.hpp"

namespace vlm::tok {

/** Text with its tie to the beginning of the original. */
struct Text {
    std::string chars;
    std::size_t origin = 0;  ///< So many leading bytes come from the original's first character.
    bool at_start = true;    ///< When this was cut out, it began at the original's first character.

    Text() = default;
    /** A whole original text. */
    explicit Text(std::string_view whole) : chars(whole), origin(whole.empty() ? 0 : sequence_length(whole[0])) {}

    bool empty() const { return chars.empty(); }

    /** Bytes begin..end as a text of its own. */
    Text slice(std::size_t begin, std::size_t end) const {
        Text part;
        part.chars.assign(chars, begin, end - begin);
        part.origin = origin > begin ? std::min(origin, end) - begin : 0;
        part.at_start = part.origin > 0;
        return part;
    }

    /** Puts `prefix` before a text that is not empty. */
    void prepend(std::string_view prefix) {
        if (chars.empty()) return;
        if (origin > 0) origin += prefix.size();
        chars.insert(0, prefix);
    }

    /** Takes over a rewriting that keeps the order of characters. */
    void rewrite(std::string&& rewritten) {
        if (rewritten == chars) return;
        chars = std::move(rewritten);
        origin = origin > 0 && !chars.empty() ? sequence_length(chars[0]) : 0;
    }
};

/** Builds the rewriting of a text part by part, noting which parts stand for the original's first character. */
class TextRewriter {
  public:
    explicit TextRewriter(const Text& source) : source_(source) {
        result_.chars.reserve(source.chars.size());
        result_.at_start = source.at_start;
    }

    /** Appends characters that stand for the source's byte `from`. */
    void put(std::string_view chars, std::size_t from) {
        result_.chars += chars;
        if (from < source_.origin) result_.origin = result_.chars.size();
    }

    Text take() { return std::move(result_); }

  private:
    const Text& source_;
    Text result_;
};

/** A text on its way to the model, or a token that was already found in it. */
struct Piece {
    Text text;
    std::int32_t id = -1;  ///< The added token that this is, or -1.
};

}  // namespace vlm::tok
