/** @file manifest.cpp
 *  See manifest.hpp.
 */
#include "host/pipeline/manifest.hpp"

#include <cmath>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/pipeline/generation_config.hpp"

namespace vlm {
namespace {

/** 2^53 bytes, more than any machine addresses. */
constexpr int64_t kMostMegabytes = int64_t{1} << 33;

/** Options may point at files beside the manifest: `{"path": "drugs.csv"}` becomes the absolute path, `{"file":
 * "x.json"}` the content of that JSON file. Plugins never need to know where the manifest was. */
void resolve_files(nlohmann::ordered_json& value, const std::filesystem::path& base) {
    if (value.is_array())
        for (auto& item : value) resolve_files(item, base);
    if (!value.is_object()) return;
    const bool single = value.size() == 1 && value.begin()->is_string();
    if (single && (value.begin().key() == "path" || value.begin().key() == "file")) {
        const auto path = std::filesystem::absolute(base / value.begin()->get<std::string>()).lexically_normal();
        if (value.begin().key() == "path")
            value = path.string();
        else
            value = nlohmann::ordered_json::parse(json::Document::from_file(path.string()).root().dump());
        return;
    }
    for (auto& [key, member] : value.items()) resolve_files(member, base);
}

/** `true`, or an object with limits. */
void read_isolate(StageManifest& stage, const json::Value& value) {
    stage.isolate = !value.is_bool() || value.as_bool();
    if (value.is_bool()) return;
    if (!value.is_object())
        throw value.error("must be true, false or {\"time_limit\": seconds, \"memory_mb\": 10^6 bytes}");
    value.check_keys({"time_limit", "memory_mb"});
    constexpr double kLongest = 86400;
    if (const auto limit = value.find_set("time_limit")) stage.time_limit_s = limit->as_number(0.01, kLongest);
    if (const auto limit = value.find_set("memory_mb")) stage.memory_mb = limit->as_int(1, kMostMegabytes);
}

StageManifest read_stage(json::Value value, const std::filesystem::path& base) {
    value.check_keys({"plugin", "options", "isolate", "device"});
    StageManifest stage;
    stage.given = true;
    stage.plugin = value.get_or("plugin", "");
    stage.device = value.get_or("device", "");
    if (const auto isolate = value.find_set("isolate")) read_isolate(stage, *isolate);
    if (const auto options = value.find_set("options")) {
        if (!options->is_object()) throw options->error("must be an object");
        auto resolved = nlohmann::ordered_json::parse(options->dump());
        resolve_files(resolved, base);
        stage.options = resolved.dump();
    }
    return stage;
}

std::vector<StageManifest> read_stages(json::Value pipeline, const char* key, const std::filesystem::path& base) {
    std::vector<StageManifest> stages;
    if (const auto list = pipeline.find_set(key))
        for (const auto& item : list->as_array()) {
            stages.push_back(read_stage(item, base));
            if (const auto device = item.find_set("device"))
                throw device->error(
                    "only \"vision_encoder\", \"connector\" and \"backbone\" have a device of their "
                    "own; reducers work where the tokens are, post-processors beside the backbone");
            if (stages.back().plugin.empty()) throw item.error("needs a \"plugin\": the id of the plugin to use");
        }
    return stages;
}

/** Takes `protect` out of the options of a reducer: pixels are the host's, so protection works with every reducer. */
void read_protect(StageManifest& stage, const json::Value& value) {
    const auto options = value.find_set("options");
    if (!options || !options->contains("protect")) return;
    const auto protect = (*options)["protect"];
    constexpr double kUsual = 0.1;  // printed strokes have far more of a patch's pixels on edges, paper and skin less
    if (protect.is_bool())
        stage.protect = protect.as_bool() ? kUsual : 0;
    else
        stage.protect = protect.as_number(0, 1);
    auto rest = nlohmann::ordered_json::parse(stage.options);
    rest.erase("protect");
    stage.options = rest.dump();
}

RowOptions read_rows(json::Value value) {
    value.check_keys({"max_side", "ink", "max_angle", "rule", "min_band", "row_height", "max_row_width", "width_step",
                      "margin", "max_gap"});
    RowOptions rows;
    constexpr int64_t kLargest = 1 << 16;
    const auto read = [&](const char* key, int& target, int64_t smallest) {
        if (const auto v = value.find_set(key)) target = static_cast<int>(v->as_int(smallest, kLargest));
    };
    read("max_side", rows.max_side, 0);
    read("ink", rows.ink, 1);
    read("rule", rows.rule, 1);
    read("min_band", rows.min_band, 1);
    read("row_height", rows.row_height, 8);
    read("max_row_width", rows.max_row_width, 8);
    read("width_step", rows.width_step, 1);
    if (const auto v = value.find_set("max_angle")) rows.max_angle = v->as_number(0, 45);
    if (const auto v = value.find_set("margin")) rows.margin = v->as_number(0, 4);
    if (const auto v = value.find_set("max_gap")) rows.max_gap = v->as_number(0, 100);
    return rows;
}

RereadManifest read_reread(json::Value value) {
    value.check_keys({"below", "margins"});
    RereadManifest reread;
    reread.below = value["below"].as_number(0, 1);
    constexpr size_t kMost = 8;
    const auto margins = value["margins"].as_array();
    if (margins.empty() || margins.size() > kMost) throw value["margins"].error("must hold 1 to 8 margins");
    for (const auto& margin : margins) reread.margins.push_back(margin.as_number(0, 4));
    return reread;
}

ImageManifest read_image(json::Value value) {
    value.check_keys({"split", "rows", "mark_positions", "reread", "max_pixels"});
    ImageManifest image;
    image.split_rows = value.contains("split") && value["split"].as_one_of({"none", "rows"}) == "rows";
    if (const auto rows = value.find_set("rows")) image.rows = read_rows(*rows);
    image.mark_positions = value.get_or("mark_positions", false);
    if (const auto reread = value.find_set("reread")) {
        if (!image.split_rows) throw reread->error("needs \"split\": \"rows\": only rows are read again");
        image.reread = read_reread(*reread);
    }
    if (const auto pixels = value.find_set("max_pixels")) image.max_pixels = pixels->as_int(1, int64_t{1} << 32);
    return image;
}

/** GBNF text, or `{"path": "answer.gbnf"}` beside the manifest. */
std::shared_ptr<const Grammar> read_grammar(json::Value value, const std::filesystem::path& base) {
    if (!value.is_object()) return Grammar::parse(value.as_string(), "generation.grammar");
    value.check_keys({"path"});
    return Grammar::from_file(base / value["path"].as_string());
}

GenerationOptions read_generation(json::Value value, const std::filesystem::path& base) {
    value.check_keys({"max_new_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed", "stop",
                      "ignore_eos", "grammar"});
    GenerationOptions options;
    using Limits = GenerationLimits;
    if (const auto v = value.find_set("max_new_tokens")) options.max_new_tokens = v->as_int(0, Limits::kMostTokens);
    if (const auto v = value.find_set("temperature")) options.temperature = v->as_number(0, Limits::kHottest);
    if (const auto v = value.find_set("top_k")) options.top_k = v->as_int(0, Limits::kMostTokens);
    if (const auto v = value.find_set("top_p")) options.top_p = v->as_number(0, 1);
    if (const auto v = value.find_set("min_p")) options.min_p = v->as_number(0, 1);
    if (const auto v = value.find_set("repetition_penalty"))
        options.repetition_penalty = v->as_number(Limits::kLeastPenalty, Limits::kMostPenalty);
    if (const auto v = value.find_set("seed")) options.seed = v->as_uint64();
    if (const auto v = value.find_set("stop")) options.stop = v->as_strings();
    options.ignore_eos = value.get_or("ignore_eos", false);
    if (const auto v = value.find_set("grammar")) options.grammar = read_grammar(*v, base);
    return options;
}

WeightRule read_rule(const json::Value& place, const std::string& text) {
    try {
        return parse_weight_rule(text);
    } catch (const Error& error) {
        throw place.error(error.what());
    }
}

BudgetManifest read_budget(json::Value value, const std::filesystem::path& base) {
    value.check_keys({"max_ms", "visual_tokens", "curve"});
    BudgetManifest budget;
    constexpr double kLongest = 1e9;
    if (const auto v = value.find_set("max_ms")) budget.max_ms = v->as_number(1e-3, kLongest);
    if (const auto v = value.find_set("visual_tokens")) budget.visual_tokens = v->as_int(1, int64_t{1} << 32);
    if (const auto v = value.find_set("curve")) budget.curve = (base / v->as_string()).lexically_normal();
    if (!budget.given()) throw value.error("needs \"max_ms\" or \"visual_tokens\"");
    return budget;
}

Manifest read(json::Value root, const std::filesystem::path& base) {
    root.check_keys({"comment",    "model",       "recipe",       "device",         "dtype", "weights",
                     "weights_of", "kv",          "threads",      "plugins",        "trust", "pipeline",
                     "image",      "prompt",      "use_template", "max_context",    "batch", "generation",
                     "budget",     "speculative", "packed_cache", "memory_limit_mb"});
    const auto absolute = [&](const std::string& path) {
        return std::filesystem::path(path).is_absolute() ? std::filesystem::path(path)
                                                         : (base / path).lexically_normal();
    };
    Manifest manifest;
    if (const auto v = root.find_set("model")) manifest.model = absolute(v->as_string());
    manifest.recipe = root.get_or("recipe", "");
    manifest.device = root.get_or("device", "cpu");
    if (const auto v = root.find_set("dtype")) manifest.dtype = v->as_one_of({"auto", "f32", "bf16"});
    if (const auto v = root.find_set("weights"))
        manifest.weights = v->as_one_of({"auto", "f32", "f16", "bf16", "int8", "int4", "fp8"});
    if (const auto v = root.find_set("kv")) manifest.kv = v->as_one_of({"auto", "f32", "bf16", "f16", "int8"});
    if (const auto v = root.find_set("weights_of"))
        for (const auto& rule : v->as_strings()) manifest.weight_rules.push_back(read_rule(*v, rule));
    if (const auto v = root.find_set("threads")) manifest.threads = v->as_int(0, kMostThreads);
    if (const auto v = root.find_set("packed_cache")) {
        const std::string choice = v->as_string();
        manifest.packed_cache = choice == "auto" || choice == "off" ? choice : absolute(choice).string();
    }
    if (const auto v = root.find_set("plugins"))
        for (const auto& path : v->as_strings()) manifest.plugins.push_back(absolute(path));
    if (const auto v = root.find_set("trust"))
        manifest.trust = trust_mode_of(v->as_one_of({"off", "warn", "require"}), v->where());
    if (const auto pipeline = root.find_set("pipeline")) {
        pipeline->check_keys({"vision_encoder", "connector", "backbone", "token_reducers", "post_processors"});
        if (const auto v = pipeline->find_set("vision_encoder")) manifest.vision_encoder = read_stage(*v, base);
        if (const auto v = pipeline->find_set("connector")) manifest.connector = read_stage(*v, base);
        if (const auto v = pipeline->find_set("backbone")) manifest.backbone = read_stage(*v, base);
        manifest.token_reducers = read_token_reducers(*pipeline, base);
        manifest.post_processors = read_stages(*pipeline, "post_processors", base);
    }
    if (const auto v = root.find_set("image")) manifest.image = read_image(*v);
    manifest.prompt = root.get_or("prompt", "");
    manifest.use_template = root.get_or("use_template", true);
    if (const auto v = root.find_set("max_context")) manifest.max_context = v->as_int(1, int64_t{1} << 32);
    if (const auto v = root.find_set("memory_limit_mb")) manifest.memory_limit_mb = v->as_int(0, kMostMegabytes);
    if (const auto v = root.find_set("batch")) manifest.batch = v->as_int(1, 4096);
    if (const auto v = root.find_set("generation")) manifest.generation = read_generation(*v, base);
    if (const auto v = root.find_set("budget")) {
        manifest.budget = read_budget(*v, base);
        if (!manifest.token_reducers.empty())
            throw v->error("chooses the token reducers, but the manifest names some too; keep one of them");
    }
    if (const auto v = root.find_set("speculative")) {
        v->check_keys({"prompt_lookup"});
        if (const auto most = v->find_set("prompt_lookup"))
            manifest.generation.prompt_lookup = most->as_int(0, GenerationLimits::kMostGuesses);
    }
    if (manifest.model.empty())
        throw root.error(
            "needs a \"model\": the folder of a checkpoint (config.json, *.safetensors, tokenizer.json), relative to "
            "this "
            "file");
    return manifest;
}

/** Throws when `value` is not from `low` to `high`, or no number. */
template <class Number>
void expect_within(const char* name, Number value, Number low, Number high) {
    if (value >= low && value <= high) return;
    const auto text = [](Number number) { return nlohmann::json(number).dump(); };
    throw invalid_argument(std::string(name) + " is " +
                           (std::isfinite(static_cast<double>(value)) ? text(value) : "no finite number") +
                           "; expected " + text(low) + " to " + text(high));
}

}  // namespace

void check_generation(const GenerationOptions& options) {
    using Limits = GenerationLimits;
    expect_within<int64_t>("max_new_tokens", options.max_new_tokens, 0, Limits::kMostTokens);
    expect_within("temperature", options.temperature, 0.0, Limits::kHottest);
    expect_within<int64_t>("top_k", options.top_k, 0, Limits::kMostTokens);
    expect_within("top_p", options.top_p, 0.0, 1.0);
    expect_within("min_p", options.min_p, 0.0, 1.0);
    expect_within("repetition_penalty", options.repetition_penalty, Limits::kLeastPenalty, Limits::kMostPenalty);
    expect_within<int64_t>("prompt_lookup", options.prompt_lookup, 0, Limits::kMostGuesses);
    for (const auto& stop : options.stop)
        if (stop.empty()) throw invalid_argument("a stop string is empty; it would end every answer before it begins");
}

std::vector<StageManifest> read_token_reducers(const json::Value& object, const std::filesystem::path& base) {
    auto stages = read_stages(object, "token_reducers", base);
    if (const auto list = object.find_set("token_reducers")) {
        const auto values = list->as_array();
        for (size_t i = 0; i < stages.size(); ++i) read_protect(stages[i], values[i]);
    }
    return stages;
}

Manifest Manifest::from_file(const std::filesystem::path& path) {
    const auto document = json::Document::from_file(path.string());
    Manifest manifest = read(document.root(), path.parent_path());
    manifest.file = path;
    return manifest;
}

Manifest Manifest::from_text(const std::string& text, const std::string& name, const std::filesystem::path& base) {
    return read(json::Document::from_text(text, name).root(), base);
}

Manifest Manifest::for_model(const std::filesystem::path& model) {
    Manifest manifest;
    manifest.model = model;
    manifest.generation = read_generation_config(model);
    return manifest;
}

}  // namespace vlm
