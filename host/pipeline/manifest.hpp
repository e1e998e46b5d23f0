/** @file manifest.hpp
 *  The manifest: which parts make the pipeline and how they are set.
 *
 *  A manifest may name a checkpoint, in which case the family's recipe fills in every stage and the manifest only says
 * what is different; or it may spell all stages out. Unknown keys are refused with the nearest known name and the line,
 * because a typing error in a safety threshold must not go unnoticed.
 */
#pragma once
#include <cstdint>
#include <filesystem>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/compute/weight_policy.hpp"
#include "host/image/rows.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/grammar.hpp"
#include "host/trust/policy.hpp"

namespace vlm {

/** Sampling and stopping; the names are those of the field. */
struct GenerationOptions {
    int64_t max_new_tokens = 256;
    double temperature = 0;  ///< 0: greedy.
    int64_t top_k = 0;       ///< 0: off.
    double top_p = 1;
    double min_p = 0;
    double repetition_penalty = 1;
    uint64_t seed = 0;
    std::vector<std::string> stop;
    bool ignore_eos = false;
    int64_t prompt_lookup = 0;  ///< Most tokens to guess from the text so far; 0: off. Greedy answers only.
    std::shared_ptr<const Grammar> grammar;  ///< What answers must follow; empty: anything.
};

/** What generation options may be; the manifest, the command line and the C API are held to the same. */
struct GenerationLimits {
    static constexpr int64_t kMostTokens = std::numeric_limits<int32_t>::max();
    static constexpr double kHottest = 100;
    static constexpr double kLeastPenalty = 0.01, kMostPenalty = 100;
    static constexpr int64_t kMostGuesses = 64;  ///< More are hardly ever all right, and each costs a row of logits.
};

/** @throws Error INVALID_ARGUMENT that names the option which is outside its range or no number. */
void check_generation(const GenerationOptions& options);

/** One stage as the manifest sets it; empty members are left to the recipe. */
struct StageManifest {
    std::string plugin;
    std::string options = "{}";  ///< JSON object.
    std::string device;          ///< Of encoder, connector and backbone; empty: the manifest's.
    double protect = 0;          ///< Reducers: tokens with this share of pixels on edges must not be dropped; 0: off.
    bool given = false;
    bool isolate = false;       ///< In a process of its own; see host/isolate.
    double time_limit_s = 300;  ///< Of one call, when isolated.
    int64_t memory_mb = 0;      ///< What its process may take, in 10^6 bytes; 0: as much as there is.
};

/** Second readings of rows that the model doubted; see host/pipeline/reread.hpp. */
struct RereadManifest {
    double below = 0;             ///< Rows with a token less probable than this are read again; 0: never.
    std::vector<double> margins;  ///< One more reading for each: the margin of its cut, see RowOptions.
};

/** How pages become images of the pipeline. */
struct ImageManifest {
    bool split_rows = false;          ///< Cut pages into rows of text, one answer each.
    RowOptions rows;                  ///< How; see host/image/rows.hpp.
    bool mark_positions = false;      ///< Colour row images by column (models that were trained so).
    RereadManifest reread;            ///< Of rows only.
    int64_t max_pixels = 64'000'000;  ///< Larger images are refused from their header.
};

/** Limits that a measured curve of token reducers is to keep (host/pipeline/budget.hpp). */
struct BudgetManifest {
    double max_ms = 0;            ///< Time to the first token; 0: no limit.
    int64_t visual_tokens = 0;    ///< Visual tokens that stay; 0: no limit.
    std::filesystem::path curve;  ///< File of `vlmhost bench --sweep reducers`.
    bool given() const { return max_ms > 0 || visual_tokens > 0; }
};

/** Most CPU threads that can be asked for. */
inline constexpr int64_t kMostThreads = 1024;

/** A parsed manifest. */
struct Manifest {
    std::filesystem::path file;                  ///< Where it was read; empty when made from a checkpoint.
    std::filesystem::path model;                 ///< Checkpoint folder, or empty.
    std::string recipe;                          ///< Recipe name, or empty: by model_type.
    std::string device = "cpu";                  ///< Of stages that have none of their own.
    std::string dtype = "auto";                  ///< "f32", "bf16" or "auto".
    std::string weights = "auto";                ///< "f32", "f16", "bf16", "int8", "int4", "fp8" or "auto": as dtype.
    std::string kv = "auto";                     ///< "f32", "bf16", "f16", "int8" or "auto": as dtype.
    std::vector<WeightRule> weight_rules;        ///< Layers that are stored otherwise; the first that fits.
    int64_t threads = 0;                         ///< 0: one per core; at most kMostThreads.
    std::string packed_cache = "auto";           ///< Packed weights on disk: "auto", "off" or a folder.
    std::vector<std::filesystem::path> plugins;  ///< Further libraries or folders of libraries.
    TrustMode trust = TrustMode::off;            ///< Asked of plugins at least; the host's own policy may ask more.
    StageManifest vision_encoder, connector, backbone;
    std::vector<StageManifest> token_reducers, post_processors;
    BudgetManifest budget;  ///< Chooses the token reducers.
    ImageManifest image;
    std::string prompt;                      ///< Default prompt; empty: none.
    bool use_template = true;                ///< Apply the chat template to prompts without an image marker.
    std::optional<int64_t> memory_limit_mb;  ///< 10^6 bytes; 0: any amount; nothing: what the machine has left.
    int64_t max_context = 0;                 ///< Context length to plan for; 0: what the request needs.
    int64_t batch = 8;                       ///< Most sequences that run together.
    GenerationOptions generation;

    /** Reads a file; relative paths in it are relative to its folder. */
    static Manifest from_file(const std::filesystem::path& path);
    /** Reads a text; relative paths are relative to `base`. */
    static Manifest from_text(const std::string& text, const std::string& name, const std::filesystem::path& base);
    /** The manifest that `--model DIR` means. */
    static Manifest for_model(const std::filesystem::path& model);
};

/** The list `token_reducers` of a JSON object; files in its options are relative to `base`. */
std::vector<StageManifest> read_token_reducers(const json::Value& object, const std::filesystem::path& base);

}  // namespace vlm
