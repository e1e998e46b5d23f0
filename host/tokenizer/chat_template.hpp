/** @file chat_template.hpp
 *  Chat templates: the Jinja program in a checkpoint that turns a list of messages into the prompt its model was
 * trained on. There is no complete Jinja for C++ in the distributions, so this is a small interpreter of the part that
 * real chat templates use, with the settings of transformers' apply_chat_template (trim_blocks, lstrip_blocks,
 * sandbox). What it does not know it refuses by name.
 */
#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace vlm {

/** A parsed template. Immutable; copies share it; render() may be called from many threads at once. */
class ChatTemplate {
  public:
    /** Parses a template; `name` stands for it in messages.
     *  @throws Error INVALID_ARGUMENT for a syntax error, with its line; UNIMPLEMENTED naming a statement, filter, test
     * or operator that is not supported */
    static ChatTemplate parse(const std::string& source, const std::string& name);

    /** The template of a checkpoint's folder: `chat_template.jinja`, the "chat_template" of `chat_template.json`,
     * `processor_config.json` or `tokenizer_config.json` (a string, or a list of {"name", "template"}), in this order.
     * Nothing when there is none of that name.
     *  @throws Error as parse(); INVALID_ARGUMENT for a file that is no JSON */
    static std::optional<ChatTemplate> from_directory(const std::filesystem::path& directory,
                                                      std::string_view which = "default");

    /** Runs the template. `variables_json` is a JSON object of the variables: "messages", "add_generation_prompt",
     * "bos_token", "tools" ...
     *  @return the prompt, UTF-8
     *  @throws Error INVALID_ARGUMENT when the JSON is wrong, when the template calls raise_exception (with its
     * message) or meets a value of the wrong type; UNIMPLEMENTED for an unknown function or method; RESOURCE_EXHAUSTED
     * when it runs too long or writes too much */
    std::string render(const std::string& variables_json) const;

    /** The text that was parsed. */
    const std::string& source() const;

    struct Impl;

  private:
    explicit ChatTemplate(std::shared_ptr<const Impl> impl);
    std::shared_ptr<const Impl> impl_;
};

}  // namespace vlm
