/** @file tokenizer.hpp
 *  Text to token ids and back, from a Hugging Face `tokenizer.json`. The pipeline (added tokens, normalizer,
 * pre-tokenizer, model, post-processor, decoder) follows the reference library `tokenizers` 0.23 step by step, because
 * ids that differ in one place silently spoil a model's answers. The file decides everything; nothing here knows a
 * model family.
 */
#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace vlm {

/** An immutable tokenizer. Copies share the tables; every member function may be called from many threads at once. */
class Tokenizer {
  public:
    /** Reads a `tokenizer.json`.
     *  @throws Error NOT_FOUND; INVALID_ARGUMENT naming file, JSON path, what was found and expected (not JSON: line
     * and column; a merge whose parts are not in the vocabulary, two pieces of one id, a wrong type, an unknown
     * component type, an id outside int32); UNIMPLEMENTED for a positive `dropout`, which would make encoding random */
    static Tokenizer from_file(const std::filesystem::path& path);

    /** The same from text in memory; `name` stands for the file in messages. */
    static Tokenizer from_json(const std::string& text, const std::string& name);

    /** Reads `tokenizer.json` in a checkpoint's folder together with `tokenizer_config.json`, `special_tokens_map.json`
     * and `added_tokens.json` where present: tokens that only those name are added, and roles ("bos_token", ...) become
     * known.
     *  @throws Error as from_file; NOT_FOUND when the folder has no tokenizer.json */
    static Tokenizer from_directory(const std::filesystem::path& directory);

    /** Token ids of a text. With `add_special_tokens` the post-processor's template is applied. Truncation and padding
     * that the file asks for are not applied.
     *  @throws Error INVALID_ARGUMENT for invalid UTF-8, with the byte offset; FAILED_PRECONDITION when the text holds
     * a character that the vocabulary lacks and the file names no unknown token; RESOURCE_EXHAUSTED when a regular
     * expression of the file backtracks without end */
    std::vector<std::int32_t> encode(std::string_view text, bool add_special_tokens) const;

    /** Text of token ids. Ids that the vocabulary does not have are left out, as the reference does (checkpoints pad
     * their embedding). With `skip_special_tokens`, tokens marked special are left out too. The result is valid UTF-8:
     * bytes that form no character become U+FFFD. */
    std::string decode(std::span<const std::int32_t> ids, bool skip_special_tokens) const;

    /** The id of a piece as it is spelled in the vocabulary ("Ġthe", "▁the", "<image>"), added tokens first. */
    std::optional<std::int32_t> id_of(std::string_view piece) const;

    /** The spelling of an id. An added token that matches normalised text is spelled as normalised, as in the
     * reference. */
    std::optional<std::string> piece_of(std::int32_t id) const;

    /** Number of different pieces, added tokens included. Ids need not be dense: see max_id(). */
    std::size_t vocab_size() const;

    /** The largest id; -1 for an empty vocabulary. */
    std::int32_t max_id() const;

    /** Whether an id is an added token marked special. */
    bool is_special(std::int32_t id) const;

    /** The token of a role of tokenizer_config.json or special_tokens_map.json: "bos_token", "eos_token", "pad_token",
     * "unk_token", "image_token" and whatever else those files name. Nothing without such a file or role. */
    std::optional<std::string> special_token(std::string_view role) const;

    /** The id of special_token(role), when it has one. */
    std::optional<std::int32_t> special_id(std::string_view role) const;

    /** The file's own "truncation" and "padding" sections as JSON text ("null" when absent), for callers that want to
     * apply them. */
    const std::string& truncation_json() const;
    const std::string& padding_json() const;

    struct Impl;

  private:
    friend class StreamDecoder;
    explicit Tokenizer(std::shared_ptr<const Impl> impl);
    std::shared_ptr<const Impl> impl_;
};

/** Decodes ids one at a time, as they are generated. The pieces joined, finish() included, equal decode() of all ids:
 * both run the same code. A piece never ends inside a character; whatever later ids may still change (unfinished byte
 * sequences, a word that may be the last) is held back. One thread at a time; it keeps the tokenizer alive. */
class StreamDecoder {
  public:
    explicit StreamDecoder(const Tokenizer& tokenizer, bool skip_special_tokens = true);
    ~StreamDecoder();
    StreamDecoder(StreamDecoder&&) noexcept;
    StreamDecoder& operator=(StreamDecoder&&) noexcept;

    /** The text that this id settles; may be empty. @throws Error FAILED_PRECONDITION after finish() */
    std::string push(std::int32_t id);

    /** What was held back; afterwards only destruction makes sense. */
    std::string finish();

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace vlm
