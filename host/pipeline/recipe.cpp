/** @file recipe.cpp
 *  See recipe.hpp.
 */
#include "host/pipeline/recipe.hpp"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "host/base/error.hpp"
#include "host/base/log.hpp"

namespace vlm {
namespace {

using nlohmann::ordered_json;

/** Keys that say nothing about the arithmetic: bookkeeping of the library that wrote the file. */
constexpr std::array kBookkeeping = {"architectures",
                                     "model_type",
                                     "torch_dtype",
                                     "dtype",
                                     "transformers_version",
                                     "_name_or_path",
                                     "_commit_hash",
                                     "auto_map",
                                     "use_cache",
                                     "return_dict",
                                     "output_attentions",
                                     "output_hidden_states",
                                     "initializer_range",
                                     "initializer_factor",
                                     "bos_token_id",
                                     "eos_token_id",
                                     "pad_token_id",
                                     "_pad_token_id",  // how transformers 5.x saves that of Idefics3
                                     "torchscript",
                                     "tie_word_embeddings",
                                     "is_encoder_decoder",
                                     "is_decoder",
                                     "chunk_size_feed_forward",
                                     "id2label",
                                     "label2id",
                                     "problem_type",
                                     "_attn_implementation",
                                     "_attn_implementation_autoset",
                                     "attn_implementation",
                                     "use_bfloat16",
                                     "pruned_heads",
                                     "tokenizer_class",
                                     "prefix",
                                     "task_specific_params",
                                     "finetuning_task",
                                     "ignore_index",
                                     "logit_scale_init_value",
                                     "vocab_size"};

std::optional<json::Value> find_path(json::Value value, const std::string& path) {
    size_t begin = 0;
    while (begin <= path.size() && !path.empty()) {
        const size_t end = std::min(path.find('.', begin), path.size());
        if (!value.is_object()) return std::nullopt;
        const auto next = value.find_set(path.substr(begin, end - begin));
        if (!next) return std::nullopt;
        value = *next;
        begin = end + 1;
    }
    return value;
}

std::vector<std::string> one_or_more(json::Value value) {
    return value.is_string() ? std::vector<std::string>{value.as_string()} : value.as_strings();
}

std::vector<std::string> list_or_empty(json::Value object, const char* key) {
    const auto value = object.find_set(key);
    return value ? one_or_more(*value) : std::vector<std::string>{};
}

StageRecipe read_stage(json::Value value) {
    value.check_keys({"plugin", "config", "take", "defaults", "defaults_for", "options", "weights"});
    StageRecipe stage;
    stage.plugin = value["plugin"].as_string();
    stage.section = value.get_or("config", "");
    if (const auto take = value.find("take"))
        for (const auto& [key, paths] : take->members()) stage.take[std::string(key)] = one_or_more(paths);
    if (const auto defaults = value.find("defaults")) stage.defaults = defaults->dump();
    if (const auto by_path = value.find("defaults_for"))
        for (const auto& [path, by_value] : by_path->members())
            for (const auto& [found, more] : by_value.members())
                stage.defaults_for[std::string(path)][std::string(found)] = more.dump();
    if (const auto options = value.find("options")) stage.options = options->dump();
    stage.weight_prefixes = list_or_empty(value, "weights");
    if (stage.weight_prefixes.empty()) stage.weight_prefixes.emplace_back();
    return stage;
}

PromptRecipe read_prompt(json::Value value) {
    value.check_keys({"marker", "place", "add_special_tokens", "separate_text", "strip_text", "shared_piece",
                      "space_after_image", "template", "prefix_text", "suffix_text", "suffix_piece", "pad_text",
                      "image", "before", "tile", "row_end", "global", "after", "grid_row"});
    PromptRecipe prompt;
    prompt.markers = list_or_empty(value, "marker");
    if (const auto place = value.find("place")) {
        const auto name = place->as_one_of({"front", "always_front", "after_bos", "marker_required"});
        prompt.place = name == "front"          ? PromptRecipe::Place::front
                       : name == "always_front" ? PromptRecipe::Place::always_front
                       : name == "after_bos"    ? PromptRecipe::Place::after_bos
                                                : PromptRecipe::Place::marker_required;
    }
    prompt.add_special_tokens = value.get_or("add_special_tokens", true);
    prompt.separate_text = value.get_or("separate_text", false);
    prompt.strip_text = value.get_or("strip_text", "");
    prompt.space_after_image = value.get_or("space_after_image", false);
    prompt.shared_piece = value.get_or("shared_piece", "");
    prompt.template_text = value.get_or("template", "");
    prompt.prefix_text = value.get_or("prefix_text", "");
    prompt.suffix_text = value.get_or("suffix_text", "");
    prompt.suffix_piece = value.get_or("suffix_piece", "");
    prompt.pad_text = value.get_or("pad_text", false);
    prompt.image = list_or_empty(value, "image");
    prompt.before = list_or_empty(value, "before");
    prompt.tile = list_or_empty(value, "tile");
    prompt.row_end = list_or_empty(value, "row_end");
    prompt.global = list_or_empty(value, "global");
    prompt.after = list_or_empty(value, "after");
    prompt.grid_row = list_or_empty(value, "grid_row");
    return prompt;
}

/** Lays the set members of `over` over `base`; objects are replaced, not merged, as a checkpoint's own values are
 * whole. */
void overlay(ordered_json& base, const ordered_json& over) {
    for (const auto& [key, value] : over.items())
        if (!value.is_null()) base[key] = value;
}

/** Lays a checkpoint's section over the recipe's defaults. A null that no default answers stays: it may say "none"
 * where the class has a default of its own (`sliding_window`). */
void overlay_section(ordered_json& base, const ordered_json& section) {
    for (const auto& [key, value] : section.items())
        if (!value.is_null() || !base.contains(key)) base[key] = value;
}

}  // namespace

Recipe Recipe::from_file(const std::filesystem::path& path) {
    const auto document = json::Document::from_file(path.string());
    const auto root = document.root();
    root.check_keys(
        {"comment", "model_type", "covers", "stages", "post_processors", "transparency", "early_fusion", "prompt"});
    Recipe recipe;
    recipe.name = path.stem().string();
    recipe.model_types = one_or_more(root["model_type"]);
    recipe.covers = list_or_empty(root, "covers");
    root["stages"].check_keys({"vision_encoder", "connector", "backbone"});
    for (const auto& [name, stage] : root["stages"].members()) recipe.stages[std::string(name)] = read_stage(stage);
    recipe.post_processors = list_or_empty(root, "post_processors");
    if (const auto transparency = root.find("transparency"))
        recipe.color_mode =
            transparency->as_one_of({"white", "ignore"}) == "ignore" ? ColorMode::kOpaque : ColorMode::kRgb;
    recipe.early_fusion = root.get_or("early_fusion", false);
    if (const auto prompt = root.find("prompt")) recipe.prompt = read_prompt(*prompt);
    return recipe;
}

Recipe find_recipe(const std::vector<std::filesystem::path>& folders, const std::string& model_type,
                   const std::string& asked_by) {
    std::set<std::string> known;
    for (const auto& folder : folders) {
        std::error_code unreadable;
        std::vector<std::filesystem::path> files;
        for (const auto& entry : std::filesystem::directory_iterator(folder, unreadable))
            if (entry.path().extension() == ".json") files.push_back(entry.path());
        std::sort(files.begin(), files.end());
        for (const auto& file : files) {
            try {
                Recipe recipe = Recipe::from_file(file);
                for (const auto& type : recipe.model_types) {
                    if (type == model_type) return recipe;
                    known.insert(type);
                }
            } catch (const Error& error) {
                // Another family's broken recipe is no reason not to serve this one.
                if (file.stem() == model_type) throw;
                log_message(VLM_LOG_WARNING, "vlmhost", error.what());
            }
        }
    }
    std::string list;
    for (const auto& type : known) list += (list.empty() ? "" : ", ") + type;
    throw not_found(asked_by + ": no recipe serves model_type '" + model_type + "' (known: " +
                    (list.empty() ? "none; is the recipe folder installed beside the plugins?" : list) + ")");
}

std::string stage_config(const StageRecipe& stage, json::Value model, const std::string& manifest_options) {
    ordered_json config = ordered_json::object();
    overlay(config, ordered_json::parse(stage.defaults));
    for (const auto& [path, by_value] : stage.defaults_for)
        if (const auto value = find_path(model, path); value && value->is_string())
            if (const auto more = by_value.find(value->as_string()); more != by_value.end())
                overlay(config, ordered_json::parse(more->second));
    if (const auto section = find_path(model, stage.section)) {
        if (!section->is_object()) throw section->error("must be an object");
        overlay_section(config, ordered_json::parse(section->dump()));
    }
    for (const auto& [key, paths] : stage.take)
        for (const auto& path : paths)
            if (const auto value = find_path(model, path)) {
                config[key] = ordered_json::parse(value->dump());
                break;
            }
    overlay(config, ordered_json::parse(stage.options));
    overlay(config, ordered_json::parse(manifest_options));
    return config.dump();
}

std::string taken_from(const StageRecipe& stage, json::Value model, const std::string& message) {
    for (const auto& [key, paths] : stage.take) {
        if (message.find("config: " + key + ":") == std::string::npos) continue;
        for (const auto& path : paths)
            if (find_path(model, path)) return path != key ? path : "";
    }
    return "";
}

void check_covered(const Recipe& recipe, json::Value model) {
    std::set<std::string> known(kBookkeeping.begin(), kBookkeeping.end());
    known.insert(recipe.covers.begin(), recipe.covers.end());
    for (const auto& [name, stage] : recipe.stages) {
        if (stage.section.empty()) return;  // that stage's plugin sees every key and refuses what it does not know
        known.insert(stage.section.substr(0, stage.section.find('.')));
        for (const auto& [path, by_value] : stage.defaults_for) known.insert(path.substr(0, path.find('.')));
        for (const auto& [key, paths] : stage.take)
            for (const auto& path : paths) known.insert(path.substr(0, path.find('.')));
    }
    for (const auto& [key, value] : model.members())
        if (!value.is_null() && !known.contains(std::string(key)))
            throw value.error("option '" + std::string(key) + "' is not supported by recipe '" + recipe.name +
                              "', and ignoring it would change the answers");
}

}  // namespace vlm
