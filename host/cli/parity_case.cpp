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
#include "host/cli/parity_padding.hpp"
#include "host/image/decode.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/generate.hpp"
#include "host/pipeline/hooks.hpp"
#include "host/pipeline/pipeline.hpp"
#include "host/pipeline/prompt.hpp"
#include "host/pipeline/visual.hpp"

namespace vlm::cli {
namespace {

using Json = nlohmann::ordered_json;

/** Numbers of one captured or expected tensor, whatever its dtype. */
struct Numbers {
    std::vector<double> values;
    bool integer = false;
    size_t row_width = 0;  ///< Size of the last dimension.
};

bool is_integer_dtype(uint32_t dtype) {
    return dtype >> 16 <= VLM_TYPE_UINT || dtype >> 16 == VLM_TYPE_BOOL;
}

/** Appends the elements of a CPU tensor, strides respected. */
void append(Numbers& numbers, const vlm_tensor& tensor) {
    const auto& view = tensor.view;
    const uint32_t dtype = dtype_of(view);
    numbers.integer = is_integer_dtype(dtype);
    numbers.row_width = view.ndim > 0 ? static_cast<size_t>(view.shape[view.ndim - 1]) : 0;
    std::vector<int64_t> index(static_cast<size_t>(view.ndim), 0);
    const int64_t count = element_count({view.shape, static_cast<size_t>(view.ndim)});
    const auto* base = static_cast<const char*>(view.data) + view.byte_offset;
    for (int64_t n = 0; n < count; ++n) {
        int64_t offset = 0;
        int64_t compact = 1;
        for (int32_t d = view.ndim - 1; d >= 0; --d) {
            const auto i = static_cast<size_t>(d);
            offset += index[i] * (view.strides != nullptr ? view.strides[d] : compact);
            compact *= view.shape[d];
        }
        const char* element = base + offset * dtype_bytes(dtype);
        switch (dtype) {
            case VLM_DTYPE_F32:
                numbers.values.push_back(*reinterpret_cast<const float*>(element));
                break;
            case VLM_DTYPE_I32:
                numbers.values.push_back(*reinterpret_cast<const int32_t*>(element));
                break;
            case VLM_DTYPE_I64:
                numbers.values.push_back(static_cast<double>(*reinterpret_cast<const int64_t*>(element)));
                break;
            case VLM_DTYPE_U8:
            case VLM_DTYPE_BOOL:
                numbers.values.push_back(*reinterpret_cast<const uint8_t*>(element));
                break;
            default:
                throw unimplemented("parity cannot compare tensors of dtype code " + std::to_string(dtype));
        }
        for (int32_t d = view.ndim - 1; d >= 0; --d) {
            if (++index[static_cast<size_t>(d)] < view.shape[d]) break;
            index[static_cast<size_t>(d)] = 0;
        }
    }
}

Numbers read_expected(const TensorView& tensor) {
    Numbers numbers;
    vlm_tensor abi{};
    auto shape = std::vector<int64_t>(tensor.shape.begin(), tensor.shape.end());
    const uint32_t dtype = tensor.dtype;
    abi.view.data = const_cast<void*>(static_cast<const void*>(tensor.data));
    abi.view.ndim = static_cast<int32_t>(shape.size());
    abi.view.shape = shape.data();
    abi.view.dtype = {static_cast<uint8_t>(dtype >> 16), static_cast<uint8_t>(dtype & 0xFFFFu), 1};
    append(numbers, abi);
    return numbers;
}

/** Whether the rows are the same but for their order: a reference that was tapped inside a window permutation. */
bool same_rows(const Numbers& expected, const Numbers& found, double limit) {
    const size_t width = expected.row_width;
    if (width < 2 || expected.values.size() % width != 0) return false;
    const size_t rows = expected.values.size() / width;
    std::vector<bool> used(rows, false);
    for (size_t r = 0; r < rows; ++r) {
        size_t match = 0;
        const auto differs = [&](size_t candidate) {
            for (size_t i = 0; i < width; ++i)
                if (!(std::abs(expected.values[r * width + i] - found.values[candidate * width + i]) <= limit))
                    return true;
            return false;
        };
        while (match < rows && (used[match] || differs(match))) ++match;
        if (match == rows) return false;
        used[match] = true;
    }
    return true;
}

Comparison compare(const std::string& name, const Numbers& expected, const Numbers& found, double tolerance) {
    Comparison c;
    c.name = name;
    c.integer = expected.integer;
    if (expected.values.size() != found.values.size()) {
        c.note = std::to_string(found.values.size()) + " elements, expected " + std::to_string(expected.values.size());
        c.max_abs = INFINITY;
        c.cosine = 0;
        return c;
    }
    double largest = 0;
    double dot = 0;
    double norm_a = 0;
    double norm_b = 0;
    for (size_t i = 0; i < expected.values.size(); ++i) {
        const double a = expected.values[i];
        const double b = found.values[i];
        const double difference = std::abs(a - b);
        // A NaN on one side must not pass a comparison that only asks for "not larger".
        c.max_abs = std::isnan(difference) ? INFINITY : std::max(c.max_abs, difference);
        largest = std::max(largest, std::abs(a));
        dot += a * b;
        norm_a += a * a;
        norm_b += b * b;
    }
    if (norm_a > 0 && norm_b > 0) c.cosine = dot / std::sqrt(norm_a) / std::sqrt(norm_b);
    constexpr double kRelative = 2e-5;
    const double limit = c.integer ? 0 : std::max(tolerance, kRelative * largest);
    c.passed = c.max_abs <= limit;
    if (!c.passed && !c.integer && same_rows(expected, found, limit)) {
        c.passed = true;
        c.note = "the same rows in another order";
    }
    return c;
}

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
    std::unique_ptr<Pipeline> open(const Json& test_case) const {
        Json manifest = {{"model", std::filesystem::absolute(folder_).string()},
                         {"device", options_.device},
                         {"dtype", options_.dtype},
                         {"threads", options_.threads}};
        const Json reducers = reducer_stages(folder_, test_case);
        if (!reducers.empty()) manifest["pipeline"] = {{"token_reducers", reducers}};
        OpenOptions open;
        open.plugin_folders = options_.plugin_folders;
        return Pipeline::open(Manifest::from_text(manifest.dump(), "parity manifest", folder_), open);
    }

    CaseResult run_case(size_t index, const Json& test_case) {
        const auto pipeline = open(test_case);
        std::map<std::string, Numbers> found;
        Listeners listeners;
        listeners.cancelled = nullptr;
        listeners.tap = [&](const std::string& name, const vlm_tensor& tensor) { append(found[name], tensor); };

        Request request;
        request.raw_prompt = true;
        if (test_case["prompt"].is_array())
            request.texts = test_case["prompt"].get<std::vector<std::string>>();
        else
            request.prompt = with_markers(test_case["prompt"].get<std::string>(), pipeline->recipe().prompt);
        for (const auto& image : test_case["images"])
            request.images.push_back({image.get<std::string>(), decode_file(folder_ / image.get<std::string>(), {}, pipeline->recipe().color_mode)});

        if (pipeline->backbone().description().output == VLM_OUTPUT_LOGITS)
            run_generating(*pipeline, request, index, listeners, found);
        else
            run_evaluating(*pipeline, request, listeners, found);
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

    void run_generating(const Pipeline& pipeline, const Request& request, size_t index, const Listeners& listeners,
                        std::map<std::string, Numbers>& found) {
        HookService hooks(pipeline.reducers(), pipeline.device().allocator());
        Run run(pipeline.device().compute(), &listeners, hooks.abi());
        hooks.bind(&run);
        Trace trace;
        VisualStage visual{pipeline, run, hooks, trace};
        std::vector<const NamedImage*> images;
        for (const auto& image : request.images) images.push_back(&image);
        const auto tokens = visual.encode(images, request.prompt, nullptr);
        std::vector<TokenLayout> layouts;
        std::vector<const VisualTokens*> token_pointers;
        for (const auto& t : tokens) {
            layouts.push_back(t->layout);
            token_pointers.push_back(t.get());
        }
        const bool in_sequence = pipeline.connector().description().delivery == VLM_DELIVERY_INLINE;
        const auto segments = build_prompt(request.prompt, layouts, pipeline.recipe().prompt,
                                           pipeline.checkpoint().tokenizer(), in_sequence);
        note_ids(segments, index, found);

        {
            const auto context = pipeline.backbone().create_context(run, segment_tokens(segments) + 1);
            const Backbone::Request prefill{context.get(), segments, token_pointers, VLM_LOGITS_ALL};
            auto outputs = pipeline.backbone().run(run, {&prefill, 1}, pipeline.device().allocator());
            append(found["logits"], *outputs[0].rows.abi());
            append(found["llm.row_of_logits"], *outputs[0].row_of_output.abi());
        }
        const auto* ids = expected_->find("case" + std::to_string(index) + ".generated_ids");
        if (ids == nullptr) return;
        Listeners quiet;
        Run generating(pipeline.device().compute(), &quiet, hooks.abi());
        hooks.bind(&generating);
        std::vector<Sequence> sequences(1);
        sequences[0].segments = segments;
        sequences[0].images = tokens;
        GenerationOptions options;
        options.ignore_eos = true;
        options.max_new_tokens = element_count(std::vector<int64_t>(ids->shape.begin(), ids->shape.end()));
        generate(pipeline, generating, sequences, options, {}, trace);
        auto& generated = found["generated_ids"];
        generated.integer = true;
        for (const auto& token : sequences[0].answer.tokens) generated.values.push_back(token.id);
        sequences.clear();
        pipeline.device().end_run(run.context(VLM_ABI_VERSION));
        pipeline.device().end_run(generating.context(VLM_ABI_VERSION));
    }

    static void run_evaluating(const Pipeline& pipeline, const Request& request, const Listeners& listeners,
                               std::map<std::string, Numbers>& found) {
        const auto result = pipeline.answer({request}, {}, listeners).front();
        for (const auto& answer : result.answers)
            if (answer.output) append(found[result.image_embeddings ? "text_embeds" : "logits"], *answer.output.abi());
        if (result.image_embeddings) append(found["image_embeds"], *result.image_embeddings.abi());
        const Json extra = Json::parse(result.extra);
        if (const auto similarity = extra.find("logits_per_image"); similarity != extra.end())
            for (const auto& row : *similarity)
                for (const auto& value : row) found["logits"].values.push_back(value.get<double>());
    }

    /** Text ids where the reference has text; its image placeholders are taken over, so that lengths and places are
     * compared. */
    void note_ids(const std::vector<Segment>& segments, size_t index, std::map<std::string, Numbers>& found) {
        const auto* tensor = expected_->find("case" + std::to_string(index) + ".input_ids");
        if (tensor == nullptr) return;
        const auto reference = read_expected(*tensor).values;
        auto& ids = found["input_ids"];
        ids.integer = true;
        for (const auto& segment : segments) {
            for (const int32_t id : segment.ids) ids.values.push_back(id);
            if (segment.image >= 0)
                for (int64_t i = 0; i < segment.count; ++i)
                    ids.values.push_back(ids.values.size() < reference.size() ? reference[ids.values.size()] : -1);
        }
    }

    CaseResult compare_all(size_t index, const std::map<std::string, Numbers>& found) {
        CaseResult result;
        result.index = index;
        const std::string prefix = "case" + std::to_string(index) + ".";
        constexpr double kPixelTolerance = 1e-5;
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
            const double tolerance =
                name == "pixel_values" ? std::min(kPixelTolerance, options_.tolerance) : options_.tolerance;
            const TensorView& tensor = *expected_->find(full);
            Numbers expected = read_expected(tensor);
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
