/** @file prompt.hpp
 *  A prompt with images becomes a list of segments: text ids, and positions of images where the recipe says they stand.
 */
#pragma once
#include <span>
#include <string>
#include <vector>

#include "host/pipeline/layout.hpp"
#include "host/pipeline/recipe.hpp"
#include "host/pipeline/stages.hpp"
#include "host/tokenizer/tokenizer.hpp"

namespace vlm {

/** Builds the segments of `text` with `layouts.size()` images. `in_sequence` is false when the backbone takes images as
 * memory for cross-attention: then an image is an empty segment that marks its place.
 *
 *  Throws INVALID_ARGUMENT when the text has another number of image markers than there are images (saying both
 * numbers), or when the family needs a marker and there is none. */
std::vector<Segment> build_prompt(const std::string& text, std::span<const TokenLayout> layouts,
                                  const PromptRecipe& recipe, const Tokenizer& tokenizer, bool in_sequence);

/** Pads a text that stands beside images to `length` tokens where the recipe says so. One that is longer stays, for the
 * backbone to refuse. Throws FAILED_PRECONDITION when the tokenizer has no padding token. */
void pad_text(std::vector<Segment>& segments, const PromptRecipe& recipe, const Tokenizer& tokenizer, int64_t length);

/** Number of image markers in `text`. */
size_t count_markers(const std::string& text, const PromptRecipe& recipe);

/** `text` without its image markers: what a connector reads that reads prompts. */
std::string without_markers(const std::string& text, const PromptRecipe& recipe);

/** Number of positions of all segments. */
int64_t segment_tokens(std::span<const Segment> segments);

}  // namespace vlm
