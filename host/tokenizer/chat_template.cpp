/** @file chat_template.cpp
 *  Unknown statements, filters and tests are refused when the template is parsed, not in the middle of a conversation.
 */
#include "host/tokenizer/chat_template.hpp"

#include "host/base/error.hpp"
#include "host/tokenizer/jinja_interpreter.hpp"
#include "host/tokenizer/jinja_parser.hpp"
#include "host/tokenizer/json_field.hpp"
#include "host/tokenizer/utf8.hpp"

namespace vlm {

struct ChatTemplate::Impl {
    std::string source, name;
    jinja::Block program;
};

namespace {

/** The template inside a "chat_template" field. */
std::optional<std::string> pick(const tok::JsonField& field, std::string_view which) {
    if (field.json().is_string()) return which == "default" ? std::optional(field.string()) : std::nullopt;
    for (std::size_t i = 0; i < field.size(); ++i) {
        const tok::JsonField entry = field.element(i);
        if (entry.at("name").string() == which) return entry.at("template").string();
    }
    return std::nullopt;
}

}  // namespace

ChatTemplate::ChatTemplate(std::shared_ptr<const Impl> impl) : impl_(std::move(impl)) {}

ChatTemplate ChatTemplate::parse(const std::string& source, const std::string& name) {
    if (const std::size_t bad = tok::first_invalid_utf8(source); bad != std::string::npos) {
        throw invalid_argument(name + ": the chat template is not UTF-8 at byte " + std::to_string(bad));
    }
    auto impl = std::make_shared<Impl>();
    impl->source = source;
    impl->name = name;
    impl->program = jinja::parse(source, impl->name);
    return ChatTemplate(std::move(impl));
}

std::optional<ChatTemplate> ChatTemplate::from_directory(const std::filesystem::path& directory,
                                                         std::string_view which) {
    const std::filesystem::path plain = which == "default"
                                            ? directory / "chat_template.jinja"
                                            : directory / "additional_chat_templates" / (std::string(which) + ".jinja");
    if (std::filesystem::exists(plain)) return parse(tok::read_file(plain), plain.string());
    for (const char* name : {"chat_template.json", "processor_config.json", "tokenizer_config.json"}) {
        const std::filesystem::path path = directory / name;
        if (!std::filesystem::exists(path)) continue;
        const nlohmann::json document = tok::parse_json(tok::read_file(path), path.string());
        const auto field = tok::JsonField(document, path.string()).find("chat_template");
        if (!field) continue;
        if (const auto source = pick(*field, which)) return parse(*source, path.string() + ": chat_template");
    }
    return std::nullopt;
}

std::string ChatTemplate::render(const std::string& variables_json) const {
    tok::check_json_depth(variables_json, impl_->name + ": the variables");
    jinja::Value variables;
    try {
        variables = jinja::Value::parse(variables_json);
    } catch (const nlohmann::json::exception& e) {
        throw invalid_argument(impl_->name + ": the variables are not valid JSON: " + e.what());
    }
    if (!variables.is_object())
        throw invalid_argument(impl_->name + ": the variables must be a JSON object, found " + variables.type_name());
    return jinja::run(impl_->program, variables, impl_->name);
}

const std::string& ChatTemplate::source() const {
    return impl_->source;
}

}  // namespace vlm
