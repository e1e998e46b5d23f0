/** @file decoders.hpp
 *  The `decoder` section of tokenizer.json as a chain of stages that work while tokens arrive. Whole texts and streams
 * go through the same stages, so a stream cannot differ from the text.
 */
#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "host/tokenizer/json_field.hpp"

namespace vlm::tok {

/** Receives tokens: each is any number of text() calls, then end_token(). After the last token comes one finish(). The
 * text of one call always holds whole characters. */
class TokenSink {
  public:
    virtual ~TokenSink() = default;
    virtual void text(std::string_view part) = 0;
    virtual void end_token() = 0;
    virtual void finish() = 0;

    /** A whole token at once. */
    void token(std::string_view all) {
        text(all);
        end_token();
    }
};

/** The configuration of a stage; immutable. */
class Decoder {
  public:
    virtual ~Decoder() = default;
    /** A fresh stage that passes its tokens on to `next`, which must outlive it. */
    virtual std::unique_ptr<TokenSink> start(TokenSink& next) const = 0;
};

/** Stages in the order in which they apply. */
using DecoderChain = std::vector<std::unique_ptr<const Decoder>>;

/** Builds the chain from its JSON: Sequence, ByteLevel, ByteFallback, Metaspace, WordPiece, BPEDecoder, Fuse, Strip,
 * Replace, CTC. No section means: join with spaces. @throws Error INVALID_ARGUMENT naming an unknown type or a wrong
 * field */
DecoderChain read_decoder(const std::optional<JsonField>& field);

}  // namespace vlm::tok
