/** @file checkpoint.cpp
 *  See checkpoint.hpp.
 */
#include "host/pipeline/checkpoint.hpp"

#include "host/base/error.hpp"

namespace vlm {
namespace {

// Python's json module writes NaN and Infinity, and some checkpoints have them.
const json::ParseOptions kPython{.allow_nonfinite = true};

std::optional<json::Document> read_if_there(const std::filesystem::path& path) {
    if (!std::filesystem::exists(path)) return std::nullopt;
    return json::Document::from_file(path.string(), kPython);
}

json::Document read_config(const std::filesystem::path& folder) {
    if (!std::filesystem::is_directory(folder))
        throw not_found(folder.string() + ": is not a folder; --model and \"model\" name the folder of a checkpoint");
    if (!std::filesystem::exists(folder / "config.json"))
        throw not_found(folder.string() +
                        ": has no config.json; a checkpoint folder holds config.json, *.safetensors and "
                        "tokenizer.json as downloaded");
    return json::Document::from_file((folder / "config.json").string(), kPython);
}

/** The image processor's settings, "{}" without any. transformers 5.x saves all processors in processor_config.json;
 * where a folder keeps the older file as well, the newer one counts there (`get_image_processor_dict`), and here. */
std::string read_preprocessor(const std::filesystem::path& folder) {
    if (const auto processor = read_if_there(folder / "processor_config.json"); processor)
        if (const auto images = processor->root().find_set("image_processor")) return images->dump();
    const auto document = read_if_there(folder / "preprocessor_config.json");
    return document ? document->root().dump() : "{}";
}

}  // namespace

Checkpoint::Checkpoint(std::filesystem::path folder) : folder_(std::move(folder)), config_(read_config(folder_)) {
    if (!config().is_object()) throw config().error("must be an object");
    model_type_ = config()["model_type"].as_string();
    preprocessor_ = read_preprocessor(folder_);
    find_eos_ids();
}

void Checkpoint::find_eos_ids() {
    const auto add = [&](json::Value object) {
        const auto value = object.find_set("eos_token_id");
        if (!value) return false;
        if (value->is_int()) eos_ids_.insert(static_cast<int32_t>(value->as_int(-1, INT32_MAX)));
        if (value->is_array())
            for (const int64_t id : value->as_ints(-1, INT32_MAX)) eos_ids_.insert(static_cast<int32_t>(id));
        return !eos_ids_.empty();
    };
    if (const auto generation = read_if_there(folder_ / "generation_config.json");
        generation && add(generation->root()))
        return;
    if (add(config())) return;
    if (const auto text = config().find_set("text_config"); text && text->is_object() && add(*text)) return;
    if (has_tokenizer())
        if (const auto id = tokenizer().special_id("eos_token")) eos_ids_.insert(*id);
}

bool Checkpoint::has_tokenizer() const {
    return std::filesystem::exists(folder_ / "tokenizer.json");
}

const Tokenizer& Checkpoint::tokenizer() const {
    if (!tokenizer_) tokenizer_ = Tokenizer::from_directory(folder_);
    return *tokenizer_;
}

std::shared_ptr<const TokenTexts> Checkpoint::token_texts() const {
    std::call_once(token_texts_once_, [this] { token_texts_ = std::make_shared<const TokenTexts>(tokenizer()); });
    return token_texts_;
}

std::shared_ptr<const WeightStore> Checkpoint::weights() const {
    if (!weights_) weights_ = WeightStore::open(folder_);
    return weights_;
}

}  // namespace vlm
