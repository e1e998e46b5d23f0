/** @file template.hpp
 *  Bare questions become the prompt that a chat model was trained on.
 */
#pragma once
#include <string>
#include <vector>

#include "host/pipeline/checkpoint.hpp"
#include "host/pipeline/recipe.hpp"

namespace vlm {

/** One turn of a conversation. */
struct ChatTurn {
    std::string role;  ///< "user" or "assistant".
    std::string text;
    size_t images = 0;  ///< Images in front of the text.
};

/** Renders a conversation that the assistant is to continue: by the checkpoint's own chat template, also by one of a
 * language model alone, whose messages are texts; without one, by the recipe's template (last turn only); without that,
 * the text stays as it is, with the images in front. */
std::string apply_template(const Checkpoint& checkpoint, const PromptRecipe& recipe,
                           const std::vector<ChatTurn>& turns);

}  // namespace vlm
