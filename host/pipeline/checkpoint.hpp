/** @file checkpoint.hpp
 *  A checkpoint folder as it comes from the Hub: config.json, *.safetensors, tokenizer.json, preprocessor_config.json.
 */
#pragma once
#include <filesystem>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "host/json/document.hpp"
#include "host/pipeline/constraint.hpp"
#include "host/tokenizer/tokenizer.hpp"
#include "host/weights/safetensors.hpp"

namespace vlm {

/** The files of one checkpoint. Everything but config.json is opened when it is first asked for. */
class Checkpoint {
  public:
    /** Opens a folder; NOT_FOUND names what is missing. */
    explicit Checkpoint(std::filesystem::path folder);

    const std::filesystem::path& folder() const { return folder_; }
    json::Value config() const { return config_.root(); }
    const std::string& model_type() const { return model_type_; }
    /** JSON object of the image processor, "{}" when there is none. */
    const std::string& preprocessor() const { return preprocessor_; }
    /** The tokenizer; NOT_FOUND when the checkpoint has none. */
    const Tokenizer& tokenizer() const;
    bool has_tokenizer() const;
    /** Ids that end a text, from generation_config.json, config.json or the tokenizer. */
    const std::set<int32_t>& eos_ids() const { return eos_ids_; }
    /** The texts of all tokens, for grammars; made at the first call. */
    std::shared_ptr<const TokenTexts> token_texts() const;
    /** Maps the weights. */
    std::shared_ptr<const WeightStore> weights() const;

  private:
    void find_eos_ids();

    std::filesystem::path folder_;
    json::Document config_;
    std::string model_type_;
    std::string preprocessor_ = "{}";
    std::set<int32_t> eos_ids_;
    mutable std::optional<Tokenizer> tokenizer_;
    mutable std::shared_ptr<const WeightStore> weights_;
    mutable std::once_flag token_texts_once_;
    mutable std::shared_ptr<const TokenTexts> token_texts_;
};

}  // namespace vlm
