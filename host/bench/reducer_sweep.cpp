/** @file reducer_sweep.cpp
 *  See reducer_sweep.hpp.
 */
#include "host/bench/reducer_sweep.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>

#include "host/base/error.hpp"
#include "host/json/document.hpp"
#include "host/pipeline/budget.hpp"
#include "host/pipeline/calibration.hpp"
#include "host/pipeline/pipeline_run.hpp"

namespace vlm::bench {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::ordered_json;

double since_ms(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

StageManifest reducer(const char* plugin, const Json& options) {
    StageManifest stage;
    stage.plugin = plugin;
    stage.options = options.dump();
    stage.given = true;
    return stage;
}

StageManifest dymu(const Json& options) {
    return reducer("org.vlmhost.dymu", options);
}

StageManifest fastv(int layer, double ratio) {
    return reducer("org.vlmhost.fastv", {{"layer", layer}, {"ratio", ratio}});
}

constexpr const char* kTome = "ToMe";
constexpr const char* kDymu = "DyMU";
constexpr const char* kBoth = "DyMU + FastV K=2, 50 %";

/** A part of the name chooses a setting, and so does the name as the table shows it, with the tokens behind it. */
bool wants(const SweepChoice& choice, const std::string& name) {
    return choice.only.empty() || std::any_of(choice.only.begin(), choice.only.end(), [&](const std::string& part) {
               return name.find(part) != std::string::npos || part.starts_with(name + " ");
           });
}

/** Forgets the kernel's record of the most memory, so that each setting gets its own (proc(5), clear_refs). */
bool forget_peak() {
    std::ofstream file("/proc/self/clear_refs");
    file << "5";
    return static_cast<bool>(file.flush());
}

double peak_since_mb() {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);)
        if (line.starts_with("VmHWM:")) return std::stod(line.substr(6)) / 1024;
    return 0;
}

/** Text ids that every vocabulary has. */
Segment text_of(int64_t count, int64_t vocabulary) {
    Segment segment{{}, -1, 0, count};
    constexpr int64_t kFirst = 10;
    for (int64_t i = 0; i < count; ++i)
        segment.ids.push_back(static_cast<int32_t>(std::min(kFirst + i * 37 % 100, vocabulary - 1)));
    return segment;
}

/** Mean over the layers of the rows that the backbone computed and of what its caches hold. */
void count_rows(const Pipeline& pipeline, const VisualTokens& visual, const std::vector<ReductionRecord>& records,
                int64_t text, SweepPoint& point) {
    const int32_t layers = pipeline.backbone().description().layers;
    const int64_t positions = visual.layout.tokens() + text;
    int64_t rows = visual.rows.dim(0) + text;
    int64_t sum = 0;
    for (int32_t layer = 0; layer < layers; ++layer) {
        for (const auto& record : records)
            if (record.site == VLM_SITE_BACKBONE_LAYER && record.layer == layer) rows = record.tokens_after;
        sum += rows;
    }
    point.visual_tokens = rows - text;
    point.row_share = static_cast<double>(sum) / static_cast<double>(layers * positions);
}

/** Everything about one setting once: image, prefill, a few tokens. */
void measure(const Pipeline& pipeline, const NamedImage& image, const SweepOptions& options, const Listeners& listeners,
             bool counts, SweepPoint& point) {
    const bool peak = forget_peak();
    PipelineRun run(pipeline, listeners);
    const NamedImage* const images[] = {&image};
    const auto begin = Clock::now();
    const auto visual = run.visual().encode(images, "", nullptr).front();
    const double visual_ms = since_ms(begin);

    const auto vocabulary = pipeline.backbone().description().output_size;
    const int64_t before = std::min<int64_t>(8, options.text_tokens - 1);
    const std::vector<Segment> prompt = {text_of(before, vocabulary),
                                         {{}, 0, 0, visual->layout.tokens()},
                                         text_of(options.text_tokens - before, vocabulary)};
    const VisualTokens* const tokens = visual.get();
    const auto context = pipeline.backbone().create_context(
        run.run(), visual->layout.tokens() + options.text_tokens + options.decode_steps);
    const auto reading = Clock::now();
    run.read(context.get(), prompt, {&tokens, 1}, VLM_LOGITS_LAST);
    const double prefill_ms = since_ms(reading);
    point.kv_bytes = pipeline.backbone().state(*context).kv_bytes;
    const std::vector<Segment> next = {text_of(1, vocabulary)};
    const auto decoding = Clock::now();
    for (int64_t i = 0; i < options.decode_steps; ++i) run.read(context.get(), next, {}, VLM_LOGITS_LAST);
    const double decode_ms = since_ms(decoding) / static_cast<double>(std::max<int64_t>(1, options.decode_steps));
    count_rows(pipeline, *visual, run.hooks().records(), options.text_tokens, point);
    if (!counts) return;
    const auto spans = run.trace().totals_ms();
    const auto span = [&](const char* name) { return spans.contains(name) ? spans.at(name) : 0.0; };
    point.tower_ms.add(span("encode") + span("connect"));
    point.prefill_ms.add(prefill_ms);
    point.first_token_ms.add(visual_ms + prefill_ms);
    point.decode_ms.add(decode_ms);
    if (peak) point.peak_mb = std::max(point.peak_mb, peak_since_mb());
}

}  // namespace

std::vector<SweepSetting> reducer_settings(Pipeline& pipeline, const NamedImage& image, const SweepChoice& choice,
                                           const Listeners& listeners,
                                           const std::function<void(const std::string&)>& skipped) {
    const auto layers = pipeline.encoder().description().layers;
    const int64_t tokens = pipeline.encoder().plan(image.image.width, image.image.height).feature_rows;
    std::vector<SweepSetting> wanted = {{"no reducer", {}}};
    const Json idle(std::vector<double>(static_cast<size_t>(std::max(layers, 0)), 1.0));
    wanted.push_back({"hooks that idle", {dymu({{"thresholds", idle}}), fastv(1, 0)}});
    const int64_t eighth = std::max<int64_t>(1, tokens / 8);
    wanted.push_back({kTome, {dymu({{"tokens", eighth}})}});
    std::vector<StageManifest> levels;
    const bool merges = wants(choice, kDymu) || wants(choice, kBoth);
    if (merges && (pipeline.encoder().description().sites >> VLM_SITE_ENCODER_LAYER & 1u) != 0) {
        if (!choice.thresholds.empty()) {
            for (const auto& file : choice.thresholds) {
                const auto document = json::Document::from_file(file);
                levels.push_back(dymu({{"thresholds", Json::parse(document.root().dump())}}));
            }
        } else {
            for (const char* level : {"high", "mid", "low"}) {
                const MergeCalibration calibration(pipeline, MergeTarget::parse(level), listeners.cancelled);
                levels.push_back(dymu({{"thresholds", calibration.batch({&image, 1})}}));
            }
        }
    }
    for (const auto& level : levels) wanted.push_back({kDymu, {level}});
    for (const int layer : {2, 3})
        for (const double ratio : {0.5, 0.75})
            wanted.push_back(
                {"FastV K=" + std::to_string(layer) + ", " + std::to_string(std::lround(ratio * 100)) + " %",
                 {fastv(layer, ratio)}});
    if (levels.size() > 1) wanted.push_back({kBoth, {levels[1], fastv(2, 0.5)}});

    std::vector<SweepSetting> possible;
    for (auto& setting : wanted) {
        if (!setting.reducers.empty() && !wants(choice, setting.name)) continue;
        try {
            pipeline.replace_reducers(setting.reducers);
            possible.push_back(std::move(setting));
        } catch (const Error& error) {
            skipped(setting.name + ": " + error.what());
        }
    }
    pipeline.replace_reducers({});
    return possible;
}

std::vector<SweepPoint> sweep_reducers(Pipeline& pipeline, const NamedImage& image,
                                       const std::vector<SweepSetting>& settings, const SweepOptions& options,
                                       const Listeners& listeners,
                                       const std::function<void(int done, int total)>& tick) {
    const auto& text = pipeline.backbone().description();
    if (text.output != VLM_OUTPUT_LOGITS || pipeline.connector().description().delivery != VLM_DELIVERY_INLINE)
        throw failed_precondition(
            "--sweep reducers measures models that read images in the sequence and generate text");
    std::vector<SweepPoint> points;
    for (const auto& setting : settings) {
        points.emplace_back();
        points.back().setting = setting;
    }
    for (int round = 0; round <= options.runs; ++round) {
        for (auto& point : points) {
            pipeline.replace_reducers(point.setting.reducers);
            measure(pipeline, image, options, listeners, round > 0, point);
        }
        tick(round + 1, options.runs + 1);
    }
    pipeline.replace_reducers({});
    for (auto& point : points)
        if (point.setting.name == kDymu || point.setting.name == kTome)
            point.setting.name += " " + std::to_string(point.visual_tokens);
    return points;
}

std::string curve_json(const Pipeline& pipeline, const std::string& model, const std::vector<SweepPoint>& points,
                       const SweepOptions& options) {
    Json curve = {{"kind", "reducer_curve"},
                  {"model", model},
                  {"fits", Json::parse(budget_signature(pipeline))},
                  {"device", pipeline.device().description()},
                  {"runs", options.runs},
                  {"text_tokens", options.text_tokens},
                  {"points", Json::array()}};
    const auto summary = [](const Series& s) { return Json{{"min", s.min()}, {"median", s.median()}}; };
    for (const auto& point : points) {
        Json reducers = Json::array();
        for (const auto& stage : point.setting.reducers)
            reducers.push_back({{"plugin", stage.plugin}, {"options", Json::parse(stage.options)}});
        curve["points"].push_back({{"name", point.setting.name},
                                   {"visual_tokens", point.visual_tokens},
                                   {"row_share", point.row_share},
                                   {"tower_ms", summary(point.tower_ms)},
                                   {"prefill_ms", summary(point.prefill_ms)},
                                   {"ttft_ms", summary(point.first_token_ms)},
                                   {"decode_ms", summary(point.decode_ms)},
                                   {"kv_mb", static_cast<double>(point.kv_bytes) / 1e6},
                                   {"peak_mb", point.peak_mb},
                                   {"token_reducers", std::move(reducers)}});
    }
    return curve.dump(1);
}

std::string curve_table(const std::vector<SweepPoint>& points) {
    std::string table =
        "| setting | visual tokens | rows, mean over layers | tower ms | prefill ms | first token ms | decode ms/token "
        "| KV MB | peak MB | prefill / bar | first token / none |\n|---|---|---|---|---|---|---|---|---|---|---|\n";
    if (points.empty()) return table;
    const auto& none = points.front();
    for (const auto& p : points) {
        char line[512];
        constexpr double kBar = 1.15;  // of the share of rows
        const double prefill = p.prefill_ms.min() / none.prefill_ms.min();
        std::snprintf(
            line, sizeof(line), "| %s | %lld | %.3f | %.0f | %.0f | %.0f | %.1f | %.2f | %.0f | %.3f / %.3f | %.3f |\n",
            p.setting.name.c_str(), static_cast<long long>(p.visual_tokens), p.row_share, p.tower_ms.min(),
            p.prefill_ms.min(), p.first_token_ms.min(), p.decode_ms.min(), static_cast<double>(p.kv_bytes) / 1e6,
            p.peak_mb, prefill, p.row_share * kBar, p.first_token_ms.min() / none.first_token_ms.min());
        table += line;
    }
    return table;
}

}  // namespace vlm::bench
