/** @file config.hpp
 *  Reads a component's JSON configuration and remembers what was read.
 *
 *  Checkpoints carry configurations that were written for another program. A key that a plugin overlooks is a wrong
 * answer that nobody notices, so a component reads every key that it supports and then calls `refuse_unknown`: what is
 * left is refused by name, except keys that are known to have no effect on inference.
 */
#pragma once
#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "vlm/sdk/error.hpp"

namespace vlm::sdk {

/** Keys that transformers writes into every configuration and that change nothing at inference. */
inline constexpr std::string_view kHarmlessKeys[] = {"_attn_implementation",
                                                     "_attn_implementation_autoset",
                                                     "_commit_hash",
                                                     "_flash_attn_2_enabled",
                                                     "_name_or_path",
                                                     "architectures",
                                                     "attention_dropout",
                                                     "attention_probs_dropout_prob",
                                                     "attn_implementation",
                                                     "auto_map",
                                                     "bad_words_ids",
                                                     "begin_suppress_tokens",
                                                     "bos_token_id",
                                                     "chunk_size_feed_forward",
                                                     "classifier_dropout",
                                                     "decoder_start_token_id",
                                                     "diversity_penalty",
                                                     "do_sample",
                                                     "drop_path_rate",
                                                     "dropout",
                                                     "dtype",
                                                     "early_stopping",
                                                     "encoder_no_repeat_ngram_size",
                                                     "eos_token_id",
                                                     "exponential_decay_length_penalty",
                                                     "finetuning_task",
                                                     "forced_bos_token_id",
                                                     "forced_eos_token_id",
                                                     "gradient_checkpointing",
                                                     "hidden_dropout",
                                                     "hidden_dropout_prob",
                                                     "id2label",
                                                     "initializer_factor",
                                                     "initializer_range",
                                                     "label2id",
                                                     "length_penalty",
                                                     "max_length",
                                                     "min_length",
                                                     "model_type",
                                                     "no_repeat_ngram_size",
                                                     "num_beam_groups",
                                                     "num_beams",
                                                     "num_return_sequences",
                                                     "output_attentions",
                                                     "output_hidden_states",
                                                     "output_scores",
                                                     "pad_token_id",
                                                     "prefix",
                                                     "problem_type",
                                                     "projection_dropout",
                                                     "remove_invalid_values",
                                                     "repetition_penalty",
                                                     "return_dict",
                                                     "return_dict_in_generate",
                                                     "sep_token_id",
                                                     "suppress_tokens",
                                                     "task_specific_params",
                                                     "temperature",
                                                     "tf_legacy_loss",
                                                     "tie_encoder_decoder",
                                                     "tie_word_embeddings",
                                                     "tokenizer_class",
                                                     "top_k",
                                                     "top_p",
                                                     "torch_dtype",
                                                     "torchscript",
                                                     "transformers_version",
                                                     "typical_p",
                                                     "use_bfloat16",
                                                     "use_cache"};

/** Keys that old files write into every section, of towers and connectors too, and that change nothing while their
 * value means "off": false, zero or empty. */
inline constexpr std::string_view kHarmlessWhenOff[] = {"add_cross_attention", "cross_attention_hidden_size",
                                                        "is_decoder", "is_encoder_decoder", "pruned_heads"};

/** One JSON object of a configuration. Copies share the record of what was read. */
class Config {
  public:
    /** Parses a JSON object. `name` ("config", "preprocessor") begins every message. Throws INVALID_ARGUMENT. */
    static Config parse(std::string_view text, std::string name) {
        nlohmann::json json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
        if (json.is_discarded()) throw invalid_argument(name + ": is not valid JSON");
        return Config(std::make_shared<const nlohmann::json>(std::move(json)), std::move(name));
    }
    Config() : Config(std::make_shared<const nlohmann::json>(nlohmann::json::object()), "config") {}

    /** True when `key` is present and not null. Asking counts as reading. */
    bool has(const std::string& key) const { return find(key) != nullptr; }
    /** The object itself; looking into it does not count as reading. */
    const nlohmann::json& json() const { return *json_; }
    /** True when the object has no member. */
    bool empty() const { return json_->empty(); }
    /** Path of `key` for messages: "config: vision_config.hidden_size". */
    std::string path(const std::string& key) const { return name_ + (nested_ ? "." : ": ") + key; }

    /** The value of `key` as bool, an integer type, a floating type or std::string; `fallback` when it is absent or
     * null. Throws INVALID_ARGUMENT for a value of another type or an integer out of range. */
    template <typename T>
    T get(const std::string& key, T fallback) const {
        const nlohmann::json* value = find(key);
        return value == nullptr ? fallback : convert<T>(*value, path(key));
    }
    /** Text of `key`, or the fallback. Throws INVALID_ARGUMENT when it is no text. */
    std::string get(const std::string& key, const char* fallback) const { return get<std::string>(key, fallback); }
    /** The value of `key`; throws INVALID_ARGUMENT when it is absent. */
    template <typename T>
    T require(const std::string& key) const {
        const nlohmann::json* value = find(key);
        if (value == nullptr) throw invalid_argument(path(key) + ": is missing and has no default");
        return convert<T>(*value, path(key));
    }
    /** An integer that must lie in `low … high`: sizes are checked before anything is computed from them. */
    int64_t integer(const std::string& key, int64_t fallback, int64_t low, int64_t high) const {
        const int64_t value = get<int64_t>(key, fallback);
        if (value < low || value > high)
            throw invalid_argument(path(key) + ": " + std::to_string(value) + " is out of range, expected " +
                                   std::to_string(low) + " to " + std::to_string(high));
        return value;
    }
    /** A list of values; `fallback` when `key` is absent. One bare value counts as a list of one. */
    template <typename T>
    std::vector<T> list(const std::string& key, std::vector<T> fallback) const {
        const nlohmann::json* value = find(key);
        if (value == nullptr) return fallback;
        if (!value->is_array()) return {convert<T>(*value, path(key))};
        std::vector<T> out;
        for (size_t i = 0; i < value->size(); ++i)
            out.push_back(convert<T>((*value)[i], path(key) + "[" + std::to_string(i) + "]"));
        return out;
    }
    /** One of `choices`, by name; throws with the list of names. */
    template <typename T>
    T choice(const std::string& key, const std::string& fallback,
             std::initializer_list<std::pair<std::string_view, T>> choices) const {
        const std::string name = get(key, fallback);
        std::string known;
        for (const auto& [text, value] : choices) {
            if (text == name) return value;
            known += (known.empty() ? "'" : ", '") + std::string(text) + "'";
        }
        throw invalid_argument(path(key) + ": '" + name + "' is not supported; known are " + known);
    }
    /** The object under `key`, or an empty one. Its unread keys are refused together with this object's. */
    Config section(const std::string& key) const {
        const nlohmann::json* value = find(key);
        if (value != nullptr && !value->is_object())
            throw invalid_argument(path(key) + ": expected an object, found " + value->type_name());
        auto [it, inserted] = read_->sections.try_emplace(key);
        if (inserted) it->second = std::make_shared<Read>();
        return Config(std::make_shared<const nlohmann::json>(value != nullptr ? *value : nlohmann::json::object()),
                      path(key), it->second);
    }
    /** The raw value of `key`, or NULL; counts as reading it. Lives as long as any copy of this object. */
    const nlohmann::json* find(const std::string& key) const {
        read_->keys.insert(key);
        const auto it = json_->find(key);
        return it == json_->end() || it->is_null() ? nullptr : &*it;
    }
    /** Declares keys as read: they have no effect on this component. */
    void ignore(std::initializer_list<const char*> keys) const {
        for (const char* key : keys) read_->keys.insert(key);
    }
    /** Accepts `key` only when it has the value that this component implements; an absent key passes. */
    template <typename T>
    void expect(const std::string& key, const T& only) const {
        const nlohmann::json* value = find(key);
        if (value != nullptr && *value != nlohmann::json(only))
            throw invalid_argument(path(key) + ": " + value->dump() + " is not supported; only " +
                                   nlohmann::json(only).dump() + " is");
    }

    /** Refuses the first key that was neither read nor is harmless, by name (INVALID_ARGUMENT). Null values pass: they
     * say "not set". Call it after everything was read. */
    void refuse_unknown(std::initializer_list<std::string_view> harmless = {}) const {
        refuse_unknown(*json_, *read_, name_, nested_, harmless);
    }

  private:
    struct Read {
        std::set<std::string> keys;
        std::map<std::string, std::shared_ptr<Read>> sections;
    };
    Config(std::shared_ptr<const nlohmann::json> json, std::string name, std::shared_ptr<Read> read = nullptr)
        : json_(std::move(json)), name_(std::move(name)), nested_(read != nullptr), read_(std::move(read)) {
        if (!json_->is_object())
            throw invalid_argument(name_ + ": expected a JSON object, found " + json_->type_name());
        if (read_ == nullptr) read_ = std::make_shared<Read>();
    }

    template <typename T>
    static T convert(const nlohmann::json& value, const std::string& path) {
        if constexpr (std::is_same_v<T, bool>) {
            if (value.is_boolean()) return value.get<bool>();
            throw invalid_argument(path + ": expected true or false, found " + value.dump());
        } else if constexpr (std::is_integral_v<T>) {
            if (value.is_number_integer()) {
                const bool huge = value.is_number_unsigned() &&
                                  value.get<uint64_t>() > static_cast<uint64_t>(std::numeric_limits<int64_t>::max());
                if (!huge && std::in_range<T>(value.get<int64_t>())) return static_cast<T>(value.get<int64_t>());
                throw invalid_argument(path + ": " + value.dump() + " is out of range");
            }
            throw invalid_argument(path + ": expected an integer, found " + value.dump());
        } else if constexpr (std::is_floating_point_v<T>) {
            if (value.is_number()) return static_cast<T>(value.get<double>());
            throw invalid_argument(path + ": expected a number, found " + value.dump());
        } else {
            static_assert(std::is_same_v<T, std::string>,
                          "bool, integers, floating types and std::string are supported");
            if (value.is_string()) return value.get<std::string>();
            throw invalid_argument(path + ": expected a string, found " + value.dump());
        }
    }

    static void refuse_unknown(const nlohmann::json& object, const Read& read, const std::string& name, bool nested,
                               std::initializer_list<std::string_view> harmless) {
        for (const auto& [key, value] : object.items()) {
            const auto child = read.sections.find(key);
            if (child != read.sections.end() && value.is_object()) {
                refuse_unknown(value, *child->second, name + (nested ? "." : ": ") + key, true, harmless);
                continue;
            }
            const auto same = [&key = key](std::string_view known) { return known == key; };
            if (value.is_null() || read.keys.count(key) != 0 || std::any_of(harmless.begin(), harmless.end(), same) ||
                std::any_of(std::begin(kHarmlessKeys), std::end(kHarmlessKeys), same))
                continue;
            const bool off = value == false || value == 0 || (value.is_structured() && value.empty());
            if (off && std::any_of(std::begin(kHarmlessWhenOff), std::end(kHarmlessWhenOff), same)) continue;
            throw invalid_argument(name + (nested ? "." : ": ") + key + ": this key is not supported (found " +
                                   value.dump().substr(0, 80) +
                                   "); remove it if it has no effect on the model, or use a plugin that knows it");
        }
    }

    std::shared_ptr<const nlohmann::json> json_;
    std::string name_;
    bool nested_;
    std::shared_ptr<Read> read_;
};

}  // namespace vlm::sdk
