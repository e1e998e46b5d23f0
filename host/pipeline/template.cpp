/** @file template.cpp
 *  See template.hpp.
 */
#include "host/pipeline/template.hpp"

#include "host/base/error.hpp"
#include "host/json/writer.hpp"
#include "host/tokenizer/chat_template.hpp"

namespace vlm {
namespace {

/** How a message holds images. */
enum class Content {
    parts,  ///< A list of image and text parts, as the reference library's processors pass it.
    text,   ///< One text, each image a line with its marker: what templates of language models alone can take.
};

/** The variables of a template. */
std::string variables(const Checkpoint& checkpoint, const PromptRecipe& recipe, const std::vector<ChatTurn>& turns,
                      Content content) {
    json::Writer writer;
    writer.begin_object().key("messages").begin_array();
    for (const auto& turn : turns) {
        writer.begin_object().member("role", turn.role);
        if (content == Content::text) {
            std::string text;
            for (size_t i = 0; i < turn.images && !recipe.markers.empty(); ++i) text += recipe.markers.front() + "\n";
            writer.member("content", text + turn.text).end_object();
            continue;
        }
        writer.key("content").begin_array();
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

/** What the template takes, tried on one question: a template that was written for texts fails on a list, or prints it
 * as Python would. */
Content content_of(const ChatTemplate& chat, const Checkpoint& checkpoint, const PromptRecipe& recipe) {
    const std::vector<ChatTurn> probe{{"user", "x", 1}};
    try {
        const std::string text = chat.render(variables(checkpoint, recipe, probe, Content::parts));
        return text.find("{'type'") == std::string::npos ? Content::parts : Content::text;
    } catch (const Error&) {
    }
    try {
        chat.render(variables(checkpoint, recipe, probe, Content::text));
        return Content::text;
    } catch (const Error&) {
        return Content::parts;  // whose complaint is then the caller's
    }
}

}  // namespace

std::string apply_template(const Checkpoint& checkpoint, const PromptRecipe& recipe,
                           const std::vector<ChatTurn>& turns) {
    if (turns.empty()) throw invalid_argument("a conversation needs at least one turn");
    if (const auto chat = ChatTemplate::from_directory(checkpoint.folder()))
        return chat->render(variables(checkpoint, recipe, turns, content_of(*chat, checkpoint, recipe)));
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
