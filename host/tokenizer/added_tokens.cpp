/** @file added_tokens.cpp
 *  Follows src/tokenizer/added_vocabulary.rs of the reference: matching first in the original text, then in the
 * normalised rest.
 */
#include "host/tokenizer/added_tokens.hpp"

#include "host/tokenizer/unicode.hpp"

namespace vlm::tok {

AddedToken read_added_token(const JsonField& field) {
    AddedToken token;
    token.content = field.at("content").string();
    token.special = field.boolean_or("special", false);
    token.single_word = field.boolean_or("single_word", false);
    token.lstrip = field.boolean_or("lstrip", false);
    token.rstrip = field.boolean_or("rstrip", false);
    token.normalized = field.boolean_or("normalized", !token.special);
    return token;
}

void TokenTrie::add(std::string_view pattern, std::int32_t id) {
    if (pattern.empty()) return;
    std::size_t node = 0;
    for (const char c : pattern) {
        const auto [it, fresh] = nodes_[node].children.emplace(static_cast<unsigned char>(c), nodes_.size());
        node = it->second;
        if (fresh) nodes_.emplace_back();
    }
    if (nodes_[node].id < 0) nodes_[node].id = id;
}

TokenTrie::Match TokenTrie::next(std::string_view text, std::size_t from) const {
    for (std::size_t begin = from; begin < text.size(); ++begin) {
        Match match{begin, begin, -1};
        std::size_t node = 0;
        for (std::size_t pos = begin; pos < text.size(); ++pos) {
            const auto child = nodes_[node].children.find(static_cast<unsigned char>(text[pos]));
            if (child == nodes_[node].children.end()) break;
            node = child->second;
            if (nodes_[node].id >= 0) match = {begin, pos + 1, nodes_[node].id};
        }
        if (match.id >= 0) return match;
    }
    return {text.size(), text.size(), -1};
}

void AddedTokens::add(const std::vector<AddedToken>& tokens, const Vocabulary& model, const Normalizer* normalizer) {
    const auto model_size = static_cast<std::int32_t>(model.size());
    std::int32_t next_id = model_size;
    if (!tokens_.empty() && (max_id() >= model_size || model_size == 0)) next_id = max_id() + 1;
    for (const AddedToken& token : tokens) {
        if (token.content.empty()) continue;
        std::int32_t id = id_of(token.content);
        if (id < 0) id = model.id_of(token.content);
        if (id < 0) id = next_id++;
        if (token.normalized && normalizer) {
            Text text(token.content);
            normalizer->normalize(text);
            if (text.chars != token.content) normalized_[id] = text.chars;
        }
        ids_[token.content] = id;
        if (token.special) special_[token.content] = true;
        tokens_[id] = token;
    }
    rebuild();
}

void AddedTokens::rebuild() {
    original_trie_ = normalized_trie_ = TokenTrie();
    for (const auto& [id, token] : tokens_) {
        const auto normal = normalized_.find(id);
        if (!token.normalized) {
            original_trie_.add(token.content, id);
        } else {
            normalized_trie_.add(normal == normalized_.end() ? token.content : normal->second, id);
        }
    }
}

void AddedTokens::split(Text&& text, const TokenTrie& trie, std::vector<Piece>& out) const {
    const auto keep = [&](std::size_t begin, std::size_t end, std::int32_t id) {
        if (begin < end) out.push_back({text.slice(begin, end), id});
    };
    const std::string_view chars = text.chars;
    const auto word_before = [&](std::size_t pos) {
        std::size_t last = pos > 0 ? last_code_point(chars.substr(0, pos)) : 0;
        return pos > 0 && is_word(next_code_point(chars, last));
    };
    const auto word_at = [&](std::size_t pos) { return pos < chars.size() && is_word(next_code_point(chars, pos)); };
    std::size_t covered = 0;
    TokenTrie::Match match{0, 0, -1};
    if (!trie.empty()) {
        while ((match = trie.next(chars, match.end)).id >= 0) {
            const AddedToken& token = tokens_.at(match.id);
            std::size_t begin = match.begin, end = match.end;
            if (token.single_word && (word_before(begin) || word_at(end))) continue;
            while (token.lstrip && begin > covered) {
                const std::size_t last = last_code_point(chars.substr(0, begin));
                std::size_t pos = last;
                if (!is_white_space(next_code_point(chars, pos))) break;
                begin = last;
            }
            while (token.rstrip && end < chars.size()) {
                std::size_t pos = end;
                if (!is_white_space(next_code_point(chars, pos))) break;
                end = pos;
            }
            keep(covered, begin, -1);
            // A match may lie inside white space that the token before it swallowed; it is still a token.
            out.push_back({text.slice(begin, end), match.id});
            covered = end;
        }
    }
    keep(covered, chars.size(), -1);
}

std::vector<Piece> AddedTokens::extract(std::string_view text, const Normalizer* normalizer) const {
    std::vector<Piece> found, out;
    split(Text(text), original_trie_, found);
    for (Piece& piece : found) {
        if (piece.id >= 0) {
            out.push_back(std::move(piece));
            continue;
        }
        if (normalizer) normalizer->normalize(piece.text);
        split(std::move(piece.text), normalized_trie_, out);
    }
    return out;
}

std::int32_t AddedTokens::id_of(std::string_view content) const {
    const auto it = ids_.find(content);
    return it == ids_.end() ? -1 : it->second;
}

std::optional<std::string_view> AddedTokens::piece_of(std::int32_t id) const {
    const auto token = tokens_.find(id);
    if (token == tokens_.end()) return std::nullopt;
    const auto normal = normalized_.find(id);
    return normal == normalized_.end() ? token->second.content : normal->second;
}

bool AddedTokens::is_special(std::int32_t id) const {
    const auto token = tokens_.find(id);
    return token != tokens_.end() && is_special_piece(token->second.content);
}

std::size_t AddedTokens::count_beyond(const Vocabulary& model) const {
    std::size_t count = 0;
    for (const auto& entry : ids_) count += model.id_of(entry.first) < 0;
    return count;
}

}  // namespace vlm::tok
