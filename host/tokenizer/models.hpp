/** @file models.hpp
 *  The `model` section of tokenizer.json: how a pre-token becomes ids.
 */
#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "host/tokenizer/json_field.hpp"
#include "host/tokenizer/vocabulary.hpp"

namespace vlm::tok {

/** Encodes pre-tokens. Immutable. */
class Model {
  public:
    virtual ~Model() = default;

    /** Appends the ids of one non-empty pre-token of valid UTF-8.
     *  @throws Error FAILED_PRECONDITION when it needs an unknown token and there is none */
    virtual void encode(std::string_view text, std::vector<std::int32_t>& ids) const = 0;

    const Vocabulary& vocabulary() const { return vocabulary_; }

  protected:
    Vocabulary vocabulary_;
};

/** Builds a model from its JSON: BPE, Unigram, WordPiece or WordLevel (older files leave out "type").
 *  @throws Error INVALID_ARGUMENT naming the field; UNIMPLEMENTED for dropout */
std::unique_ptr<Model> read_model(const JsonField& field);

std::unique_ptr<Model> read_bpe(const JsonField& field);
std::unique_ptr<Model> read_unigram(const JsonField& field);
std::unique_ptr<Model> read_word_piece(const JsonField& field);
std::unique_ptr<Model> read_word_level(const JsonField& field);

}  // namespace vlm::tok
