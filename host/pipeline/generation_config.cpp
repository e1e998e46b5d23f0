/** @file generation_config.cpp
 *  See generation_config.hpp.
 */
#include "host/pipeline/generation_config.hpp"

#include <string>

#include "host/base/log.hpp"
#include "host/json/document.hpp"

namespace vlm {
namespace {

/** A setting that is not carried out, and the value with which it changes nothing. Null and absent change nothing. */
struct Unsupported {
    const char* key;
    const char* neutral;  ///< JSON.
};

constexpr Unsupported kUnsupported[] = {{"bad_words_ids", "[]"},
                                        {"begin_suppress_tokens", "[]"},
                                        {"encoder_no_repeat_ngram_size", "0"},
                                        {"encoder_repetition_penalty", "1.0"},
                                        {"exponential_decay_length_penalty", "[]"},
                                        {"force_words_ids", "[]"},
                                        {"forced_bos_token_id", "-1"},
                                        {"forced_eos_token_id", "-1"},
                                        {"guidance_scale", "1.0"},
                                        {"min_length", "0"},
                                        {"min_new_tokens", "0"},
                                        {"no_repeat_ngram_size", "0"},
                                        {"num_beams", "1"},
                                        {"penalty_alpha", "0.0"},
                                        {"sequence_bias", "[]"},
                                        {"suppress_tokens", "[]"}};
/** The same, of sampling only. */
constexpr Unsupported kUnsupportedSampling[] = {
    {"epsilon_cutoff", "0.0"}, {"eta_cutoff", "0.0"}, {"top_h", "1.0"}, {"typical_p", "1.0"}};

template <size_t N>
void name_unsupported(json::Value config, const Unsupported (&settings)[N], std::string& names) {
    for (const auto& [key, neutral] : settings) {
        const auto value = config.find_set(key);
        if (!value) continue;
        const bool same = value->is_number() ? value->as_number() == std::stod(neutral) : value->dump() == neutral;
        if (!same) names += (names.empty() ? "" : ", ") + std::string(key) + " " + value->dump().substr(0, 40);
    }
}

}  // namespace

GenerationOptions read_generation_config(const std::filesystem::path& folder) {
    using Limits = GenerationLimits;
    GenerationOptions options;
    const auto file = folder / "generation_config.json";
    if (!std::filesystem::exists(file)) return options;
    const auto document = json::Document::from_file(file.string(), {.allow_nonfinite = true});
    const json::Value config = document.root();
    if (!config.is_object()) throw config.error("must be an object");

    if (const auto v = config.find_set("max_new_tokens")) options.max_new_tokens = v->as_int(0, Limits::kMostTokens);
    if (const auto v = config.find_set("repetition_penalty"))
        options.repetition_penalty = v->as_number(Limits::kLeastPenalty, Limits::kMostPenalty);
    if (const auto v = config.find_set("stop_strings"))
        options.stop = v->is_array() ? v->as_strings() : std::vector<std::string>{v->as_string()};
    std::string unsupported;
    name_unsupported(config, kUnsupported, unsupported);
    if (const auto sample = config.find_set("do_sample"); sample && sample->as_bool()) {
        constexpr int64_t kTopK = 50;  // GenerationConfig's, where the file has none
        options.temperature = 1;
        options.top_k = kTopK;
        if (const auto v = config.find_set("temperature")) options.temperature = v->as_number(0, Limits::kHottest);
        if (const auto v = config.find_set("top_k")) options.top_k = v->as_int(0, Limits::kMostTokens);
        if (const auto v = config.find_set("top_p")) options.top_p = v->as_number(0, 1);
        if (const auto v = config.find_set("min_p")) options.min_p = v->as_number(0, 1);
        name_unsupported(config, kUnsupportedSampling, unsupported);
    }
    if (!unsupported.empty())
        log_message(VLM_LOG_WARNING, "generation",
                    file.string() + ": not carried out: " + unsupported +
                        "; answers can differ from those of a program that does");
    return options;
}

}  // namespace vlm
