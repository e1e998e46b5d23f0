/** @file estimate.cpp
 *  `vlmhost estimate`: tokens, work, memory and time of a question, before anything is computed.
 */
#include "host/estimate/estimate.hpp"

#include <array>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "host/base/error.hpp"
#include "host/cli/options.hpp"
#include "host/estimate/plot.hpp"
#include "host/image/draw.hpp"

namespace vlm::cli {
namespace {

using Json = nlohmann::ordered_json;
using namespace estimate;

const char* const kIntro =
    "vlmhost estimate MODEL|MANIFEST --image-size 1080x1440: what a question will cost. The plugins run on a device "
    "that\n"
    "counts their calls and computes nothing, so the weights are looked at for their shapes only.\n\n"
    "Formulas\n"
    "  linear layer      2 * rows * in * out FLOPs (a multiplication and an addition are two)\n"
    "  other products    2 * m * n * k\n"
    "  attention         2 * pairs * heads * (head_dim + v_head_dim); pairs of a row and a key that its mask shows it\n"
    "  time              max(FLOPs / peak, (weights + keys and values read) / bandwidth) for each stage: a roofline,\n"
    "                    the time that the machine cannot beat\n"
    "  peak memory       packed weights + KV cache + largest scratch memory + pixels\n"
    "  compression       3 * width * height numbers of the picture / (visual tokens * hidden size)\n"
    "  cross-attention   per gated block: words * (4 d^2 + 2/3 of a layer's dense work) + latents * 4 d^2 + 4 * words "
    "*\n"
    "                    latents * d FLOPs, a block before every 4th layer, 64 latents\n"
    "  early fusion      ceil(height / 30) * (ceil(width / 30) + 1) tokens in the sequence, no tower\n"
    "  attention memory  standard: 4 * tokens^2 bytes per head; blocked: one tile of logits with its queries, keys, "
    "values\n"
    "                    and sums per thread, and keys and values in pages: linear in the length\n";

struct Size {
    std::string name;
    int width = 0;
    int height = 0;
};

const std::array<Size, 4> kDocuments = {
    {{"600x1000", 600, 1000}, {"1080x1440", 1080, 1440}, {"A4@150dpi", 1240, 1754}, {"A4@300dpi", 2480, 3508}}};

Size parse_size(const std::string& text) {
    constexpr int kMost = 65536;
    int width = 0, height = 0, used = 0;
    if (std::sscanf(text.c_str(), "%5dx%5d%n", &width, &height, &used) != 2 ||
        static_cast<size_t>(used) != text.size() || width < 1 || height < 1 || width > kMost || height > kMost)
        throw invalid_argument("--image-size '" + text + "': expected WIDTHxHEIGHT in pixels, as 1080x1440");
    return {text, width, height};
}

Machine machine_from(const po::variables_map& values) {
    if (values.contains("preset")) return machine_of(values["preset"].as<std::string>());
    if (values.contains("device-peak") != values.contains("bandwidth"))
        throw invalid_argument("give --device-peak and --bandwidth together, or --preset");
    if (!values.contains("device-peak")) return {};
    const double peak = values["device-peak"].as<double>(), bandwidth = values["bandwidth"].as<double>();
    if (!(peak > 0) || !(bandwidth > 0)) throw invalid_argument("--device-peak and --bandwidth must be positive");
    return {"given", peak * 1e12, bandwidth * 1e9, "the command line"};
}

/** Everything about one size. */
struct Prediction {
    Size size;
    Stages stages;
    double peak_bytes = 0;
    double weight_bytes = 0;
};

Json work_json(const Work& work, const Machine& machine) {
    Json json = {{"flops", work.flops()},
                 {"linear_flops", work.linear_flops},
                 {"matmul_flops", work.matmul_flops},
                 {"attention_flops", work.attention_flops},
                 {"bytes_read", work.weight_bytes + work.kv_bytes}};
    if (machine.flops_per_s > 0) json["ms"] = seconds(work, machine) * 1e3;
    return json;
}

Json prediction_json(const Prediction& p, const Machine& machine, const std::vector<Fusion>& kinds) {
    Json json = {{"image_size", {p.size.width, p.size.height}},
                 {"visual_tokens", p.stages.visual_tokens},
                 {"text_tokens", p.stages.text_tokens},
                 {"stages",
                  {{"encode", work_json(p.stages.encode, machine)},
                   {"connect", work_json(p.stages.connect, machine)},
                   {"prefill", work_json(p.stages.prefill, machine)},
                   {"decode_per_token", work_json(p.stages.decode, machine)}}},
                 {"memory",
                  {{"weights", p.weight_bytes},
                   {"kv_cache", p.stages.kv_bytes},
                   {"scratch", p.stages.scratch_bytes},
                   {"peak", p.peak_bytes}}}};
    auto& fusion = json["fusion"] = Json::array();
    for (const auto& kind : kinds)
        fusion.push_back({{"kind", kind.kind},
                          {"assumed", kind.how},
                          {"visual_tokens", kind.visual_tokens},
                          {"sequence", kind.sequence},
                          {"encode_flops", kind.encode_flops},
                          {"prefill_flops", std::isnan(kind.prefill_flops) ? Json() : Json(kind.prefill_flops)},
                          {"kv_bytes", kind.kv_bytes},
                          {"compression", kind.compression}});
    return json;
}

void print_stage(const char* name, const Work& work, const Machine& machine) {
    std::printf("  %-18s %10.4g GFLOP  %9.1f MB read", name, work.flops() / 1e9,
                (work.weight_bytes + work.kv_bytes) / 1e6);
    if (machine.flops_per_s > 0) std::printf("  %9.3f ms", seconds(work, machine) * 1e3);
    std::puts("");
}

void print_prediction(const Prediction& p, const Machine& machine, const std::vector<Fusion>& kinds) {
    std::printf("%s: %lld visual tokens, %lld text tokens\n", p.size.name.c_str(),
                static_cast<long long>(p.stages.visual_tokens), static_cast<long long>(p.stages.text_tokens));
    print_stage("encode", p.stages.encode, machine);
    print_stage("connect", p.stages.connect, machine);
    print_stage("prefill", p.stages.prefill, machine);
    print_stage("decode, per token", p.stages.decode, machine);
    std::printf("  memory: weights %s, KV cache %s, scratch %s, peak %s\n",
                bytes_text(static_cast<int64_t>(p.weight_bytes)).c_str(), bytes_text(p.stages.kv_bytes).c_str(),
                bytes_text(p.stages.scratch_bytes).c_str(), bytes_text(static_cast<int64_t>(p.peak_bytes)).c_str());
    if (kinds.empty()) return;
    std::puts("  the same language model, fused in three ways");
    std::printf("    %-16s %8s %9s %13s %13s %11s %12s\n", "", "tokens", "sequence", "tower GFLOP", "prefill GFLOP",
                "KV", "compression");
    for (const auto& kind : kinds) {
        std::string prefill = "beyond context";
        if (!std::isnan(kind.prefill_flops)) {
            char text[32];
            std::snprintf(text, sizeof(text), "%.4g", kind.prefill_flops / 1e9);
            prefill = text;
        }
        std::printf("    %-16s %8.0f %9.0f %13.4g %13s %11s %11.1fx   %s\n", kind.kind.c_str(), kind.visual_tokens,
                    kind.sequence, kind.encode_flops / 1e9, prefill.c_str(),
                    bytes_text(static_cast<int64_t>(kind.kv_bytes)).c_str(), kind.compression, kind.how.c_str());
    }
}

void write_plot(const std::string& path, const std::vector<Prediction>& predictions, const Machine& machine,
                int64_t new_tokens) {
    std::vector<Bar> bars;
    const bool timed = machine.flops_per_s > 0;
    const auto value = [&](const Work& work) { return timed ? seconds(work, machine) * 1e3 : work.flops() / 1e9; };
    for (const auto& p : predictions) {
        Bar bar{p.size.name,
                {value(p.stages.encode), value(p.stages.connect), value(p.stages.prefill),
                 value(p.stages.decode) * static_cast<double>(new_tokens)},
                ""};
        double sum = 0;
        for (const double part : bar.parts) sum += part;
        char text[48];
        std::snprintf(text, sizeof(text), "%.4g %s", sum, timed ? "ms" : "GFLOP");
        bar.total = text;
        bars.push_back(std::move(bar));
    }
    const std::string title = (timed ? "time on " + machine.name + " (ms)" : std::string("work (GFLOP)")) + " with " +
                              std::to_string(new_tokens) + " new tokens";
    write_png(path, plot_bars(title, {"encode", "connect", "prefill", "decode"}, bars));
}

Json attention_table(bool json, int threads) {
    Json rows = Json::array();
    if (!json) {
        std::puts("scratch memory of attention, one head of 64, causal, f32 (computed / measured on this machine)");
        std::printf("  %8s %26s %26s\n", "tokens", "standard", "blocked");
    }
    for (const int64_t tokens : {1024, 2048, 4096, 8192}) {
        const auto m = attention_memory(tokens, threads);
        rows.push_back({{"tokens", tokens},
                        {"standard", {{"computed", m.standard_computed}, {"measured", m.standard_measured}}},
                        {"blocked", {{"computed", m.blocked_computed}, {"measured", m.blocked_measured}}}});
        const auto text = [](double bytes) { return bytes_text(static_cast<int64_t>(bytes)); };
        if (!json)
            std::printf("  %8lld %26s %26s\n", static_cast<long long>(tokens),
                        (text(m.standard_computed) + " / " + text(m.standard_measured)).c_str(),
                        (text(m.blocked_computed) + " / " + text(m.blocked_measured)).c_str());
    }
    return rows;
}

}  // namespace

int estimate_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    auto add = all.add_options();
    add("subject", po::value<std::string>(), "checkpoint folder or manifest (also without --subject)");
    add("image-size", po::value<std::string>()->default_value("1080x1440"), "WIDTHxHEIGHT in pixels");
    add("sizes", "600x1000, 1080x1440 and A4 at 150 and 300 dpi, as a table");
    add("plot", po::value<std::string>(), "write the sizes as bars to this PNG file");
    add("text-tokens", po::value<int64_t>()->default_value(64), "text of the prompt");
    add("new-tokens", po::value<int64_t>()->default_value(128), "tokens of the answer, for the totals");
    add("preset", po::value<std::string>(), "a100-80gb, h100-sxm, h200-sxm, l4 or rtx-4090 (numbers of their makers)");
    add("device-peak", po::value<double>(), "TFLOPS of the device");
    add("bandwidth", po::value<double>(), "GB/s of its memory");
    add("attention-memory", "also measure the scratch memory of attention at 1024 to 8192 tokens");
    add("json", "one JSON object");
    po::positional_options_description positional;
    positional.add("subject", 1);
    const auto values = parse(arguments, all, positional, kIntro);
    if (!values) return kSuccess;

    Manifest manifest;
    if (values->contains("subject")) {
        const auto subject = (*values)["subject"].as<std::string>();
        manifest = std::filesystem::is_directory(subject) ? Manifest::for_model(subject) : Manifest::from_file(subject);
        if (values->contains("dtype")) manifest.dtype = (*values)["dtype"].as<std::string>();
        if (values->contains("weights")) manifest.weights = (*values)["weights"].as<std::string>();
    } else {
        manifest = manifest_from(*values);
    }
    const Machine machine = machine_from(*values);
    const int64_t text = (*values)["text-tokens"].as<int64_t>(), fresh = (*values)["new-tokens"].as<int64_t>();
    constexpr int64_t kMostTokens = 1 << 24;
    if (text < 1 || fresh < 0 || text > kMostTokens || fresh > kMostTokens)
        throw invalid_argument("--text-tokens must be at least 1 and --new-tokens at least 0");
    OpenOptions open;
    if (values->contains("plugin-path"))
        for (const auto& path : (*values)["plugin-path"].as<std::vector<std::string>>())
            open.plugin_folders.emplace_back(path);
    std::shared_ptr<DryDevice> device;
    const auto pipeline = open_dry(std::move(manifest), open, device);
    const bool json = values->contains("json"), sweep = values->contains("sizes") || values->contains("plot");
    std::vector<Size> sizes(kDocuments.begin(), kDocuments.end());
    if (!sweep) sizes = {parse_size((*values)["image-size"].as<std::string>())};

    Json result;
    if (machine.flops_per_s > 0) {
        result["machine"] = {{"name", machine.name}, {"source", machine.source}};
        if (!json)
            std::printf("on %s: %.0f TFLOPS, %.0f GB/s (%s)\n", machine.name.c_str(), machine.flops_per_s / 1e12,
                        machine.bytes_per_s / 1e9, machine.source.c_str());
    }
    std::vector<Prediction> predictions;
    for (const auto& size : sizes) {
        device->reset_peak();
        Prediction p;
        p.size = size;
        p.stages = run_stages(*pipeline, size.width, size.height, text);
        p.weight_bytes = static_cast<double>(device->counters().weight_bytes);
        const double grown =
            static_cast<double>(p.stages.kv_bytes) +
            static_cast<double>(fresh) * static_cast<double>(pipeline->backbone().description().kv_bytes_per_token);
        p.peak_bytes = p.weight_bytes + grown + static_cast<double>(p.stages.scratch_bytes) +
                       3.0 * size.width * size.height * (1 + 4);
        const auto kinds = compare_fusion(*pipeline, p.stages, size.width, size.height);
        result["sizes"].push_back(prediction_json(p, machine, kinds));
        if (!json) print_prediction(p, machine, kinds);
        predictions.push_back(std::move(p));
    }
    if (values->contains("plot")) write_plot((*values)["plot"].as<std::string>(), predictions, machine, fresh);
    if (values->contains("attention-memory"))
        result["attention_memory"] = attention_table(json, static_cast<int>(pipeline->manifest().threads));
    if (json) std::printf("%s\n", result.dump().c_str());
    return kSuccess;
}

}  // namespace vlm::cli
