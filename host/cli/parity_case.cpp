/** @file parity_case.cpp
 *  See parity_case.hpp.
 */
#include "host/cli/parity_case.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "host/base/error.hpp"
#include "host/cli/parity_numbers.hpp"
#include "host/cli/parity_padding.hpp"
#include "host/cli/parity_shown.hpp"
#include "host/image/decode.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/generate.hpp"
#include "host/pipeline/pipeline_run.hpp"
#include "host/pipeline/post_process.hpp"
#include "host/pipeline/prompt.hpp"
#include "host/pipeline/score.hpp"

namespace vlm::cli {
namespace {

using Json = nlohmann::ordered_json;

/** Order of the stages in a report. */
int stage_rank(const std::string& name) {
    static const std::vector<std::string> order = {"input_ids", "pixel_values", "vision.",           "qformer",
                                                   "connector", "position_ids", "llm.inputs_embeds", "llm.layer",
                                                   "llm.",      "logits",       "generated_ids"};
    for (size_t i = 0; i < order.size(); ++i)
        if (name.starts_with(order[i])) return static_cast<int>(i);
    return static_cast<int>(order.size());
}

/** Reducers of a folder's reducer.json, as manifest entries. */
Json reducer_stages(const std::filesystem::path& folder, const Json& test_case) {
    Json stages = Json::array();
    const auto file = folder / "reducer.json";
    if (!std::filesystem::exists(file)) return stages;
    const Json reducer = Json::parse(json::Document::from_file(file.string()).root().dump());
    if (reducer.contains("thresholds"))
        stages.push_back({{"plugin", "org.vlmhost.dymu"}, {"options", {{"thresholds", reducer["thresholds"]}}}});
    if (reducer.contains("rs")) stages.push_back({{"plugin", "org.vlmhost.dymu"}, {"options", {{"r", reducer["rs"]}}}});
    if (const auto fastv = test_case.find("fastv"); fastv != test_case.end() && fastv->is_object())
        stages.push_back({{"plugin", "org.vlmhost.fastv"},
                          {"options", {{"layer", (*fastv)["layer"]}, {"ratio", (*fastv)["ratio"]}}}});
    return stages;
}

class Folder {
  public:
    Folder(std::filesystem::path folder, const ParityOptions& options)
        : folder_(std::move(folder)),
          options_(options),
          inputs_(Json::parse(json::Document::from_file((folder_ / "inputs.json").string()).root().dump())),
          expected_(WeightStore::open(folder_ / "expected.safetensors")) {}

    std::vector<CaseResult> run() {
        std::vector<CaseResult> results;
        for (size_t i = 0; i < inputs_["cases"].size(); ++i) results.push_back(run_case(i, inputs_["cases"][i]));
        return results;
    }

  private:
    static std::string case_name(size_t index, const std::string& name) {
        return "case" + std::to_string(index) + "." + name;
    }

    /** `mask`: the mask of the backbone instead of the checkpoint's own; "": that. */
    std::unique_ptr<Pipeline> open(const Json& test_case, const std::string& mask = "") const {
        Json manifest = {{"model", std::filesystem::absolute(folder_).string()},
                         {"device", options_.device},
                         {"dtype", options_.dtype},
                         {"weights", options_.weights},
                         {"threads", options_.threads}};
        const Json reducers = reducer_stages(folder_, test_case);
        if (!reducers.empty()) manifest["pipeline"]["token_reducers"] = reducers;
        if (wants_attention()) manifest["pipeline"]["backbone"]["options"]["tap_attention"] = true;
        if (!mask.empty()) manifest["pipeline"]["backbone"]["options"]["mask"] = mask;
        OpenOptions open;
        open.plugin_folders = options_.plugin_folders;
        return Pipeline::open(Manifest::from_text(manifest.dump(), "parity manifest", folder_), open);
    }

    /** True when the folder holds attention weights, which a backbone shows only when asked. */
    bool wants_attention() const {
        const auto names = expected_->names();
        return std::any_of(names.begin(), names.end(),
                           [](const auto& name) { return name.find(".attn.") != std::string_view::npos; });
    }

    CaseResult run_case(size_t index, const Json& test_case) {
        const auto pipeline = open(test_case);
        Found found;
        Listeners listeners;
        listeners.cancelled = nullptr;
        listeners.tap = [&](const std::string& name, const vlm_tensor& tensor) {
            append(found[name], tensor);
            // Views of different sizes are padded with NaN; the reference's padding is left out as well.
            if (name == "pixel_values") std::erase_if(found[name].values, [](double v) { return std::isnan(v); });
        };

        Request request;
        request.raw_prompt = true;
        if (test_case["prompt"].is_array())
            request.texts = test_case["prompt"].get<std::vector<std::string>>();
        else
            request.prompt = with_markers(test_case["prompt"].get<std::string>(), pipeline->recipe().prompt);
        for (const auto& image : test_case["images"])
            request.images.push_back({image.get<std::string>(), decode_file(folder_ / image.get<std::string>(), {},
                                                                            pipeline->recipe().color_mode)});

        if (pipeline->backbone().description().output == VLM_OUTPUT_LOGITS)
            run_generating(*pipeline, request, test_case.value("answer", ""), index, listeners, found);
        else
            run_evaluating(*pipeline, request, listeners, found);
        if (expected_->find(case_name(index, "full.logits")) != nullptr)
            found["full.logits"] = logits_of(*open(test_case, "full"), request);
        return compare_all(index, found);
    }

    /** `{}` in a reference prompt is the place of an image. */
    static std::string with_markers(std::string prompt, const PromptRecipe& recipe) {
        if (recipe.markers.empty()) return prompt;
        for (size_t at = prompt.find("{}"); at != std::string::npos;
             at = prompt.find("{}", at + recipe.markers.front().size()))
            prompt.replace(at, 2, recipe.markers.front());
        return prompt;
    }

    void run_generating(const Pipeline& pipeline, const Request& request, const std::string& answer, size_t index,
                        const Listeners& listeners, Found& found) {
        PipelineRun shown(pipeline, listeners);
        const auto ready = shown.prepare(request.images, request.prompt);
        const auto& segments = ready.segments;
        const auto visual = ready.visual();
        if (const auto* ids = expected_->find(case_name(index, "input_ids")))
            show_ids(segments, read_expected(*ids), found);
        show_places(segments, ready.layouts(), found);

        {
            const auto context = pipeline.backbone().create_context(shown.run(), segment_tokens(segments) + 1);
            const auto output = shown.read(context.get(), segments, visual, VLM_LOGITS_ALL);
            append(found["logits"], *output.rows.abi());
            append(found["llm.row_of_logits"], *output.row_of_output.abi());
        }
        show_maps(shown.run(), segments, visual, found);
        show_attention(pipeline.backbone().description().layers, found);
        if (!answer.empty()) score(pipeline, segments, visual, answer, found);
        const auto* ids = expected_->find(case_name(index, "generated_ids"));
        if (ids == nullptr) return;
        const int64_t steps = element_count(std::vector<int64_t>(ids->shape.begin(), ids->shape.end()));
        if (const auto* best = expected_->find(case_name(index, "step_top5_ids")))
            show_best_logits(pipeline, PipelineRun(pipeline, {}).run(), segments, visual, read_expected(*best), steps,
                             options_.tolerance, found);
        PipelineRun generating(pipeline, {});
        std::vector<Sequence> sequences(1);
        sequences[0].segments = segments;
        sequences[0].images = ready.images;
        GenerationOptions options;
        options.ignore_eos = true;
        options.max_new_tokens = steps;
        generate(pipeline, generating.run(), sequences, options, {}, generating.trace());
        auto& generated = found["generated_ids"];
        generated.integer = true;
        for (const auto& token : sequences[0].answer.tokens) generated.values.push_back(token.id);
        Result result;
        result.answers.push_back(std::move(sequences[0].answer));
        post_process(pipeline, shown.run(), {request.prompt}, result);
    }

    /** Logits of a whole prompt, nothing else shown. */
    static Numbers logits_of(const Pipeline& pipeline, const Request& request) {
        PipelineRun quiet(pipeline, {});
        const auto ready = quiet.prepare(request.images, request.prompt);
        const auto context = pipeline.backbone().create_context(quiet.run(), segment_tokens(ready.segments));
        Numbers logits;
        append(logits, *quiet.read(context.get(), ready.segments, ready.visual(), VLM_LOGITS_ALL).rows.abi());
        return logits;
    }

    static void run_evaluating(const Pipeline& pipeline, const Request& request, const Listeners& listeners,
                               Found& found) {
        auto& ids = found["input_ids"];
        ids.integer = true;
        const auto texts = request.texts.empty() ? std::vector{request.prompt} : request.texts;
        for (const auto& text : texts) {
            const auto& tokenizer = pipeline.checkpoint().tokenizer();
            auto segments = build_prompt(text, {}, pipeline.recipe().prompt, tokenizer, true);
            pad_text(segments, pipeline.recipe().prompt, tokenizer, pipeline.backbone().description().max_positions);
            for (const auto& segment : segments)
                ids.values.insert(ids.values.end(), segment.ids.begin(), segment.ids.end());
        }
        const auto result = pipeline.answer({request}, {}, listeners).front();
        // What post-processors showed is finished; the raw output stands in where none did.
        const std::string name = result.image_embeddings ? "text_embeds" : "logits";
        if (found.contains(name)) return;
        for (const auto& answer : result.answers)
            if (answer.output) append(found[name], *answer.output.abi());
    }

    /** What a given answer costs: its ids follow the prompt, end-of-sequence behind them. */
    static void score(const Pipeline& pipeline, std::vector<Segment> segments,
                      std::span<const VisualTokens* const> images, const std::string& answer, Found& found) {
        int64_t prompt = 0;
        for (const auto& segment : segments) prompt += static_cast<int64_t>(segment.ids.size());
        auto ids = pipeline.checkpoint().tokenizer().encode(answer, false);
        if (const auto end = pipeline.checkpoint().tokenizer().special_id("eos_token")) ids.push_back(*end);
        if (segments.empty() || segments.back().image >= 0) segments.emplace_back();
        segments.back().ids.insert(segments.back().ids.end(), ids.begin(), ids.end());
        segments.back().count = static_cast<int64_t>(segments.back().ids.size());

        PipelineRun quiet(pipeline, {});
        const auto context = pipeline.backbone().create_context(quiet.run(), segment_tokens(segments));
        const auto output = quiet.read(context.get(), segments, images, VLM_LOGITS_ALL);
        const auto note = [&](const std::string& labels_name, const std::string& loss_name, int64_t skip) {
            const auto labels = text_labels(segments, skip);
            found[labels_name] = {{labels.begin(), labels.end()}, true};
            const auto log_p = label_log_probabilities(output.rows, output.row_of_output, labels);
            found[loss_name].values.push_back(mean_loss(log_p));
        };
        found["answer.ids"] = {{ids.begin(), ids.end()}, true};
        note("answer.labels", "answer.loss", prompt);
        note("answer.text_labels", "answer.text_loss", 0);
    }

    CaseResult compare_all(size_t index, const Found& found) {
        CaseResult result;
        result.index = index;
        const std::string prefix = "case" + std::to_string(index) + ".";
        constexpr double kPixelTolerance = 1e-5;
        constexpr double kAttentionTolerance = 1e-5;
        constexpr double kLossTolerance = 2e-5;
        std::vector<double> text_mask;  // Of references that pad texts to the longest.
        if (const auto* tensor = expected_->find(prefix + "attention_mask")) text_mask = read_expected(*tensor).values;
        std::optional<PixelMask> mask;
        if (const auto* tensor = expected_->find(prefix + "pixel_attention_mask"))
            mask = PixelMask{tensor->shape, read_expected(*tensor).values};
        for (const auto& full : expected_->names()) {
            if (!full.starts_with(prefix)) continue;
            const std::string name(full.substr(prefix.size()));
            const auto mine = found.find(name);
            if (mine == found.end()) {
                result.not_compared.push_back(name);
                continue;
            }
            double tolerance = options_.tolerance;
            if (name == "pixel_values") tolerance = std::min(kPixelTolerance, tolerance);
            if (name.starts_with("attn.")) tolerance = std::min(kAttentionTolerance, tolerance);
            if (name.ends_with("_loss") || name.ends_with(".loss")) tolerance = std::min(kLossTolerance, tolerance);
            const TensorView& tensor = *expected_->find(full);
            Numbers expected = read_expected(tensor);
            if (!text_mask.empty() && expected.row_width > 0 && (name == "input_ids" || name.starts_with("text.")))
                expected.values = without_rows(std::move(expected.values), text_mask);
            if (mask && (name == "pixel_values" || name.starts_with("vision.")))
                expected.values = without_padding(std::move(expected.values), tensor.shape, *mask);
            result.comparisons.push_back(compare(name, expected, mine->second, tolerance));
        }
        std::stable_sort(result.comparisons.begin(), result.comparisons.end(),
                         [](const auto& a, const auto& b) { return stage_rank(a.name) < stage_rank(b.name); });
        return result;
    }

    std::filesystem::path folder_;
    ParityOptions options_;
    Json inputs_;
    std::shared_ptr<const WeightStore> expected_;
};

}  // namespace

std::vector<CaseResult> run_parity(const std::filesystem::path& folder, const ParityOptions& options) {
    return Folder(folder, options).run();
}

}  // namespace vlm::cli
