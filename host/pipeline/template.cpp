/** @file template.cpp
 *  See template.hpp.
 */
#include "host/pipeline/template.hpp"

#include "host/base/error.hpp"
#include "host/json/writer.hpp"
#include "host/tokenizer/chat_template.hpp"

namespace vlm {
namespace {

/** The variables of a template, as the reference library passes them: content is a list of image and text parts. */
std::string variables(const Checkpoint& checkpoint, const std::vector<ChatTurn>& turns) {
    json::Writer writer;
    writer.begin_object().key("messages").begin_array();
    for (const auto& turn : turns) {
        writer.begin_object().member("role", turn.role).key("content").begin_array();
        for (size_t i = 0; i < turn.images; ++i) writer.begin_object().member("type", "image").end_object();
        writer.begin_object().member("type", "text").member("text", turn.text).end_object();
        writer.end_array().end_object();
    }
    writer.end_array().member("add_generation_prompt", true);
    if (checkpoint.has_tokenizer())
        for (const char* role : {"bos_token", "eos_token", "pad_token", "unk_token"})
            writer.member(role, checkpoint.tokenizer().special_token(role).value_or(""));
    return writer.end_object().take();
}

}  // namespace

std::string apply_template(const Checkpoint& checkpoint, const PromptRecipe& recipe,
                           const std::vector<ChatTurn>& turns) {
    if (turns.empty()) throw invalid_argument("a conversation needs at least one turn");
    if (const auto chat = ChatTemplate::from_directory(checkpoint.folder()))
        return chat->render(variables(checkpoint, turns));
    const std::string& prompt = turns.back().text;
    if (recipe.template_text.empty()) return prompt;
    std::string text = recipe.template_text;
    std::string images;
    if (!recipe.markers.empty())
        for (size_t i = 0; i < turns.back().images; ++i) images += recipe.markers.front();
    const auto replace = [&](const std::string& name, const std::string& value) {
        if (const size_t at = text.find(name); at != std::string::npos) text.replace(at, name.size(), value);
    };
    replace("{images}", images);
    replace("{prompt}", prompt);
    return text;
}

}  // namespace vlm
