/** @file normalizers.hpp
 *  The `normalizer` section of tokenizer.json.
 */
#pragma once
#include <memory>

#include "host/tokenizer/json_field.hpp"
#include "host/tokenizer/text.hpp"

namespace vlm::tok {

/** Rewrites text before it is cut into pieces. */
class Normalizer {
  public:
    virtual ~Normalizer() = default;
    virtual void normalize(Text& text) const = 0;
};

/** Builds a normalizer from its JSON: Sequence, NFC, NFD, NFKC, NFKD, Lowercase, Strip, StripAccents, Replace, Prepend,
 * BertNormalizer, Precompiled, ByteLevel, Nmt. @throws Error INVALID_ARGUMENT naming an unknown type or a wrong field
 */
std::unique_ptr<Normalizer> read_normalizer(const JsonField& field, int depth = 0);

}  // namespace vlm::tok
