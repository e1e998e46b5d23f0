/** @file tokenizer_impl.hpp
 *  What a Tokenizer holds. Apart from tokenizer.hpp so that the JSON library stays out of the public header.
 */
#pragma once
#include <map>

#include "host/tokenizer/added_tokens.hpp"
#include "host/tokenizer/decoders.hpp"
#include "host/tokenizer/models.hpp"
#include "host/tokenizer/normalizers.hpp"
#include "host/tokenizer/post_processors.hpp"
#include "host/tokenizer/pre_tokenizers.hpp"
#include "host/tokenizer/tokenizer.hpp"

namespace vlm {

struct Tokenizer::Impl {
    std::unique_ptr<tok::Normalizer> normalizer;         ///< May be null.
    std::unique_ptr<tok::PreTokenizer> pre_tokenizer;    ///< May be null.
    std::unique_ptr<tok::Model> model;                   ///< Never null.
    std::unique_ptr<tok::PostProcessor> post_processor;  ///< May be null.
    tok::DecoderChain decoders;
    tok::AddedTokens added;
    std::map<std::string, std::string, std::less<>> roles;
    std::string truncation = "null", padding = "null";

    /** The spelling that decoding starts from. */
    std::optional<std::string_view> piece_of(std::int32_t id) const {
        const auto piece = added.piece_of(id);
        return piece ? piece : model->vocabulary().piece_of(id);
    }
};

namespace tok {

/** Reads a whole tokenizer.json. */
std::shared_ptr<Tokenizer::Impl> read_tokenizer(const std::string& text, const std::string& file);

/** Reads the files beside tokenizer.json and takes over the tokens and roles that they name. */
void read_companions(const std::filesystem::path& directory, Tokenizer::Impl& impl);

}  // namespace tok
}  // namespace vlm
