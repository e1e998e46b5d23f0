/** @file pre_tokenizers.hpp
 *  The `pre_tokenizer` section of tokenizer.json.
 */
#pragma once
#include <memory>
#include <vector>

#include "host/tokenizer/json_field.hpp"
#include "host/tokenizer/text.hpp"

namespace vlm::tok {

/** Cuts pieces of text into smaller ones, which the model then encodes one by one. Pieces that are tokens already stay.
 */
class PreTokenizer {
  public:
    virtual ~PreTokenizer() = default;
    virtual void split(std::vector<Piece>& pieces) const = 0;
};

/** Builds a pre-tokenizer from its JSON: Sequence, ByteLevel, Metaspace, Split, Whitespace, WhitespaceSplit,
 * BertPreTokenizer, Punctuation, Digits, CharDelimiterSplit, UnicodeScripts, FixedLength. @throws Error
 * INVALID_ARGUMENT naming an unknown type or a wrong field */
std::unique_ptr<PreTokenizer> read_pre_tokenizer(const JsonField& field, int depth = 0);

}  // namespace vlm::tok
