/** @file charsmap.hpp
 *  SentencePiece's `precompiled_charsmap`: a double-array trie (Darts) of strings to replace, followed by the
 * replacements. The layout is google/sentencepiece src/normalizer.cc; how text is looked up follows the crate
 * spm_precompiled, oddities included.
 */
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/tokenizer/json_field.hpp"

namespace vlm::tok {

/** A map from short strings to their normal form. */
class Charsmap {
  public:
    /** Takes the decoded bytes. @throws Error INVALID_ARGUMENT when they are cut short or hold no text, naming `field`
     */
    Charsmap(std::string_view bytes, const JsonField& field);

    /** Rewrites valid UTF-8, grapheme cluster by grapheme cluster. */
    std::string apply(std::string_view text) const;

  private:
    /** The replacement of the shortest key that begins `chunk`, or null data when none does. */
    std::string_view find(std::string_view chunk) const;

    std::vector<std::uint32_t> units_;
    std::string replacements_;
};

/** Reads the base64 field; shared because normalizers are copied into functions. */
std::shared_ptr<const Charsmap> read_charsmap(const JsonField& field);

}  // namespace vlm::tok
