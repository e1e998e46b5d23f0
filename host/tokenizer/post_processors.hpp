/** @file post_processors.hpp
 *  The `post_processor` section of tokenizer.json: the special tokens around a text. Only what changes ids is kept;
 * offsets and type ids are of no use to a model with one text.
 */
#pragma once
#include <memory>
#include <vector>

#include "host/tokenizer/json_field.hpp"

namespace vlm::tok {

/** Adds special tokens around the ids of a text. */
class PostProcessor {
  public:
    virtual ~PostProcessor() = default;
    virtual std::vector<std::int32_t> process(std::vector<std::int32_t> ids, bool add_special_tokens) const = 0;
};

/** Builds a post-processor from its JSON: TemplateProcessing, BertProcessing, RobertaProcessing, ByteLevel, Sequence.
 *  @throws Error INVALID_ARGUMENT naming an unknown type or a wrong field */
std::unique_ptr<PostProcessor> read_post_processor(const JsonField& field, int depth = 0);

}  // namespace vlm::tok
