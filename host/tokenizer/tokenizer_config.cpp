/** @file tokenizer_config.cpp
 *  The files beside tokenizer.json. What they add follows transformers' PreTrainedTokenizerFast: tokens that
 * tokenizer.json lacks are added in the order of their ids, and a token that has a role is special.
 */
#include <algorithm>

#include "host/tokenizer/tokenizer_impl.hpp"

namespace vlm::tok {
namespace {

/** A token is written as a string or as an object with its "content". */
std::optional<AddedToken> read_role_token(const JsonField& field) {
    AddedToken token;
    token.special = true;
    token.normalized = false;
    if (field.json().is_string()) {
        token.content = field.string();
    } else if (field.json().is_object() && field.json().contains("content")) {
        token = read_added_token(field);
        token.special = true;
    } else {
        return std::nullopt;
    }
    return token;
}

struct Companions {
    std::map<std::int64_t, AddedToken> by_id;  ///< Tokens with the ids that the files give them.
    std::vector<AddedToken> special;           ///< Tokens with roles.
    std::map<std::string, std::string, std::less<>> roles;

    void take_role(const std::string& role, const JsonField& field) {
        const auto token = read_role_token(field);
        if (!token || token->content.empty()) return;
        if (roles.emplace(role, token->content).second) special.push_back(*token);
    }

    void take_roles(const JsonField& root) {
        root.expect_object();
        for (const auto& [key, value] : root.json().items()) {
            if (key.size() > 6 && key.compare(key.size() - 6, 6, "_token") == 0 && !value.is_null())
                take_role(key, root.at(key));
        }
        for (const char* list : {"additional_special_tokens", "extra_special_tokens"}) {
            const auto field = root.find(list);
            if (!field) continue;
            if (field->json().is_object()) {
                for (const auto& [key, value] : field->json().items()) take_role(key, field->at(key));
                continue;
            }
            for (std::size_t i = 0; i < field->size(); ++i) {
                if (const auto token = read_role_token(field->element(i)); token && !token->content.empty())
                    special.push_back(*token);
            }
        }
    }
};

}  // namespace

void read_companions(const std::filesystem::path& directory, Tokenizer::Impl& impl) {
    Companions found;
    const auto with_file = [&](const char* name, auto take) {
        const std::filesystem::path path = directory / name;
        if (!std::filesystem::exists(path)) return;
        const nlohmann::json document = parse_json(read_file(path), path.string());
        const JsonField root(document, path.string());
        root.expect_object();
        take(root);
    };
    with_file("tokenizer_config.json", [&](const JsonField& root) {
        found.take_roles(root);
        const auto decoder = root.find("added_tokens_decoder");
        if (!decoder) return;
        decoder->expect_object();
        for (const auto& [key, value] : decoder->json().items()) {
            if (key.empty() || key.size() > 10 || key.find_first_not_of("0123456789") != std::string::npos) {
                decoder->fail("found the key \"" + key + "\", expected a token id");
            }
            found.by_id.emplace(std::stoll(key), read_added_token(decoder->at(key)));
        }
    });
    with_file("special_tokens_map.json", [&](const JsonField& root) { found.take_roles(root); });
    with_file("added_tokens.json", [&](const JsonField& root) {
        for (const auto& [content, value] : root.json().items()) {
            AddedToken token;
            token.content = content;
            found.by_id.emplace(root.at(content).token_id(), token);
        }
    });

    std::vector<AddedToken> missing;
    const auto take = [&](const AddedToken& token) {
        const bool listed = std::any_of(missing.begin(), missing.end(),
                                        [&](const AddedToken& t) { return t.content == token.content; });
        if (!listed && impl.added.id_of(token.content) < 0) missing.push_back(token);
    };
    for (const auto& [id, token] : found.by_id) take(token);
    for (const AddedToken& token : found.special) take(token);
    if (!missing.empty()) impl.added.add(missing, impl.model->vocabulary(), impl.normalizer.get());
    impl.roles = std::move(found.roles);
}

}  // namespace vlm::tok
