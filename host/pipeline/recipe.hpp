/** @file recipe.hpp
 *  Recipes: what the host knows about a model family, as data.
 *
 *  No family is named in host/ or abi/. A recipe is a JSON file beside the plugins that says which plugin serves which
 * stage, which section of config.json and which weight-name prefixes each gets, and how a prompt marks its images. A
 * vendor adds a family by shipping one. The format is described in docs/recipes.md.
 */
#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "host/image/decode.hpp"
#include "host/json/document.hpp"

namespace vlm {

/** How one stage is made from a checkpoint. */
struct StageRecipe {
    std::string plugin;                                    ///< Plugin id.
    std::string section;                                   ///< Dotted path in config.json; "" = the whole file.
    std::map<std::string, std::vector<std::string>> take;  ///< Key ← first of these dotted paths that is set.
    std::string defaults = "{}";                           ///< JSON object under the section.
    /** Defaults that depend on a value of config.json: dotted path → value there → JSON object over `defaults`. */
    std::map<std::string, std::map<std::string, std::string>> defaults_for;
    std::string options = "{}";                ///< JSON object over the section.
    std::vector<std::string> weight_prefixes;  ///< Tried in order in front of a name.
};

/** How images stand in a prompt. */
struct PromptRecipe {
    /** Where images go when the text has no marker for them. */
    enum class Place { front, always_front, after_bos, marker_required };
    std::vector<std::string> markers;  ///< What stands for an image in a prompt; the first is the canonical one.
    Place place = Place::front;
    bool add_special_tokens = true;
    bool separate_text = false;      ///< Each text between images is tokenised on its own.
    std::string strip_text;          ///< These characters are taken off both ends of each text between images.
    bool space_after_image = false;  ///< A word directly behind an image is set off by a space.
    std::string shared_piece;   ///< Text of an expansion that neighbouring images share instead of writing it twice.
    std::string template_text;  ///< "{prompt}" is replaced; used when the checkpoint has no chat template.
    std::string prefix_text;    ///< In front of every prompt that does not begin with it (a processor that writes BOS).
    std::string suffix_text;    ///< Appended to every prompt (PaliGemma ends them with a newline).
    bool pad_text = false;      ///< Texts of embedding backbones are padded to the longest that they take (SigLIP).
    std::string suffix_piece;   ///< Piece that the ids must end with (OpenVLA), or "".

    /** Expansion lists; items beginning with '@' are image positions: @image, @tile, @row; the rest is text. */
    std::vector<std::string> image;  ///< For an image in one block, or when nothing below is given.
    std::vector<std::string> before, tile, row_end, global, after;  ///< For images that are cut into tiles.
    std::vector<std::string> grid_row;  ///< For each row of a grid, when rows are marked by text tokens.
};

/** One family. */
struct Recipe {
    std::string name;                           ///< File name without ".json".
    std::vector<std::string> model_types;       ///< Values of `model_type` that it serves.
    std::vector<std::string> covers;            ///< Top-level keys of config.json that it answers for.
    std::map<std::string, StageRecipe> stages;  ///< "vision_encoder", "connector", "backbone".
    std::vector<std::string> post_processors;   ///< Plugin ids.
    bool early_fusion = false;  ///< One transformer over patches and text: pictures show its four blocks of attention.
    PromptRecipe prompt;
    ColorMode color_mode = ColorMode::kRgb;  ///< What becomes of transparency when pictures are decoded.

    /** Reads a recipe file; refuses unknown keys. */
    static Recipe from_file(const std::filesystem::path& path);
};

/** Finds the recipe for a `model_type` in the given folders, the first match wins. NOT_FOUND names what there is. */
Recipe find_recipe(const std::vector<std::filesystem::path>& folders, const std::string& model_type,
                   const std::string& asked_by);

/** Builds the `config` of a stage: defaults, section, taken keys, recipe options, then `manifest_options`, each over
 * the one before. Members that are null count as absent. */
std::string stage_config(const StageRecipe& stage, json::Value model, const std::string& manifest_options);

/** What config.json calls the key that a plugin's `message` names ("config: KEY: …"); "" when it is called the same. */
std::string taken_from(const StageRecipe& stage, json::Value model, const std::string& message);

/** Refuses top-level keys of config.json that nobody answers for, by name. */
void check_covered(const Recipe& recipe, json::Value model);

}  // namespace vlm
