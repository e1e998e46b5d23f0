/** @file added_tokens.hpp
 *  Tokens that are found in the text before the model sees it: special tokens and whatever a user added to the
 * vocabulary.
 */
#pragma once
#include <map>
#include <memory>
#include <vector>

#include "host/tokenizer/normalizers.hpp"
#include "host/tokenizer/vocabulary.hpp"

namespace vlm::tok {

/** One entry of "added_tokens". */
struct AddedToken {
    std::string content;
    bool single_word = false;  ///< Matches only between characters that are no word characters.
    bool lstrip = false;       ///< Swallows white space before it.
    bool rstrip = false;       ///< Swallows white space behind it.
    bool normalized =
        true;              ///< Its normal form is looked for in normalised text; else its content in the original text.
    bool special = false;  ///< Left out of decoded text on request.
};

/** Reads an entry of the file. */
AddedToken read_added_token(const JsonField& field);

/** A set of strings that finds, from left to right, the longest that begins at each place (Aho-Corasick "leftmost
 * longest" without overlap). */
class TokenTrie {
  public:
    void add(std::string_view pattern, std::int32_t id);
    struct Match {
        std::size_t begin, end;
        std::int32_t id;
    };
    /** The next match at or behind `from`, or an id of -1. */
    Match next(std::string_view text, std::size_t from) const;
    bool empty() const { return nodes_.size() <= 1; }

  private:
    struct Node {
        std::map<unsigned char, std::size_t> children;
        std::int32_t id = -1;
    };
    std::vector<Node> nodes_{1};
};

/** The added tokens of a tokenizer. */
class AddedTokens {
  public:
    /** Adds tokens in order. A content that the model knows keeps the model's id; the others are numbered on, as the
     * reference does (the ids in the file are not looked at there either). */
    void add(const std::vector<AddedToken>& tokens, const Vocabulary& model, const Normalizer* normalizer);

    /** Takes the added tokens out of a text and normalises what lies between them. `normalizer` may be null. */
    std::vector<Piece> extract(std::string_view text, const Normalizer* normalizer) const;

    /** The id of a content, or -1. */
    std::int32_t id_of(std::string_view content) const;

    /** The spelling for decoding: normalised where that is what the text would hold. */
    std::optional<std::string_view> piece_of(std::int32_t id) const;

    bool is_special(std::int32_t id) const;
    bool is_special_piece(std::string_view piece) const { return special_.find(piece) != special_.end(); }
    std::size_t size() const { return ids_.size(); }
    std::int32_t max_id() const { return tokens_.empty() ? -1 : tokens_.rbegin()->first; }

    /** Contents that the model does not have itself. */
    std::size_t count_beyond(const Vocabulary& model) const;

  private:
    void rebuild();
    void split(Text&& text, const TokenTrie& trie, std::vector<Piece>& out) const;

    std::map<std::int32_t, AddedToken> tokens_;
    std::map<std::int32_t, std::string> normalized_;  ///< Normal forms that differ from the content.
    StringMap<std::int32_t> ids_;
    StringMap<bool> special_;
    TokenTrie original_trie_, normalized_trie_;
};

}  // namespace vlm::tok
