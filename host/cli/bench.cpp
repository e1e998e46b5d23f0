/** @file bench.cpp
 *  `vlmhost bench`: how long each stage takes, and how much memory the process ever had.
 *
 *  The same request is answered several times by one open pipeline, and the spans that the stages record anyway are
 * collected. The first answer warms caches and is not counted. Spread is shown as minimum, median and maximum, because
 * a mean hides the one slow run that a user remembers.
 */
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <map>

#include "host/base/error.hpp"
#include "host/cli/options.hpp"
#include "host/image/decode.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

using Clock = std::chrono::steady_clock;

double since_ms(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

/** Measurements of one thing. */
struct Series {
    std::vector<double> values;

    double quantile(double q) const {
        std::vector<double> sorted = values;
        std::sort(sorted.begin(), sorted.end());
        return sorted[static_cast<size_t>(q * static_cast<double>(sorted.size() - 1) + 0.5)];
    }
};

/** A page that every encoder can take: light paper with dark bars. Made when no image is given. */
Image test_page() {
    constexpr int kWidth = 640;
    constexpr int kHeight = 480;
    constexpr int kBar = 24;
    Image page = make_image(kWidth, kHeight, 3);
    for (size_t i = 0; i < page.pixels.size(); ++i) {
        const auto y = static_cast<int>(i / (3 * kWidth));
        page.pixels[i] = y / kBar % 2 == 0 ? 240 : static_cast<uint8_t>(i * 37 % 200);
    }
    return page;
}

}  // namespace

int bench_command(const Arguments& arguments) {
    po::options_description all = pipeline_options();
    po::options_description bench("Measurement");
    auto add = bench.add_options();
    add("image", po::value<std::vector<std::string>>()->composing(), "image file; default: a drawn page");
    add("prompt", po::value<std::string>(), "question; default: the manifest's, or a short one");
    add("runs", po::value<int>()->default_value(5), "answers to measure, after one that is not counted");
    add("new-tokens", po::value<int64_t>()->default_value(32), "tokens of each answer; the end of text is ignored");
    add("json", "print one JSON object");
    all.add(bench);
    const auto values = parse(arguments, all, {}, "vlmhost bench: measures a pipeline stage by stage.\n");
    if (!values) return kSuccess;
    const int runs = (*values)["runs"].as<int>();
    if (runs < 1) throw invalid_argument("--runs must be at least 1");

    Manifest manifest = manifest_from(*values);
    Request request;
    if (values->contains("prompt"))
        request.prompt = (*values)["prompt"].as<std::string>();
    else if (manifest.prompt.empty())
        request.prompt = "Describe this image.";
    DecodeLimits limits;
    limits.max_pixels = static_cast<uint64_t>(manifest.image.max_pixels);
    if (values->contains("image"))
        for (const auto& file : (*values)["image"].as<std::vector<std::string>>())
            request.images.push_back({file, decode_file(file, limits)});
    else
        request.images.push_back({"drawn page", test_page()});

    const auto loading = Clock::now();
    const auto pipeline = open_pipeline(*values, manifest, true);
    std::map<std::string, Series> series;
    series["load"].values.push_back(since_ms(loading));

    GenerationOptions options = pipeline->manifest().generation;
    options.max_new_tokens = (*values)["new-tokens"].as<int64_t>();
    // Rows of a page end at their own length; elsewhere a fixed length makes runs comparable.
    options.ignore_eos = !pipeline->manifest().image.split_rows;
    Listeners listeners;
    listeners.cancelled = &interrupted();
    TokenCounts tokens;
    Series rate;
    for (int run = 0; run <= runs; ++run) {
        Trace trace;
        const auto begin = Clock::now();
        const Result result = pipeline->answer({request}, options, listeners, {}, &trace).front();
        const double total = since_ms(begin);
        tokens = result.tokens;
        if (run == 0) continue;
        const auto stages = trace.totals_ms();
        for (const auto& [stage, ms] : stages) series[stage].values.push_back(ms);
        series["end to end"].values.push_back(total);
        // Each sequence's first token comes from the prefill.
        const auto decode = stages.find("decode");
        const auto decoded = tokens.generated - static_cast<int64_t>(result.answers.size());
        if (decode != stages.end() && decode->second > 0 && decoded > 0)
            rate.values.push_back(static_cast<double>(decoded) / decode->second * 1e3);
    }

    if (values->contains("json")) {
        json::Writer writer;
        const auto summary = [&](const Series& s) {
            writer.begin_object().member("min", s.quantile(0)).member("median", s.quantile(0.5));
            writer.member("max", s.quantile(1)).end_object();
        };
        writer.begin_object().member("device", pipeline->device().description()).member("runs", runs);
        writer.key("ms").begin_object();
        for (const auto& [name, s] : series) {
            writer.key(name);
            summary(s);
        }
        writer.end_object();
        if (!rate.values.empty()) {
            writer.key("tokens_per_s");
            summary(rate);
        }
        writer.key("tokens").begin_object().member("visual", tokens.visual).member("text", tokens.text);
        writer.member("generated", tokens.generated).end_object();
        writer.member("peak_mb", peak_memory_mb()).end_object();
        std::printf("%s\n", writer.take().c_str());
        return kSuccess;
    }
    std::printf("%s, %d runs\n  %-14s %10s %10s %10s\n", pipeline->device().description().c_str(), runs, "", "min",
                "median", "max");
    for (const auto& [name, s] : series)
        std::printf("  %-14s %10.2f %10.2f %10.2f ms\n", name.c_str(), s.quantile(0), s.quantile(0.5), s.quantile(1));
    if (!rate.values.empty())
        std::printf("  %-14s %10.1f %10.1f %10.1f tokens/s\n", "decode", rate.quantile(0), rate.quantile(0.5),
                    rate.quantile(1));
    std::printf("  %lld visual, %lld text, %lld generated tokens; peak %.0f MB\n",
                static_cast<long long>(tokens.visual), static_cast<long long>(tokens.text),
                static_cast<long long>(tokens.generated), peak_memory_mb());
    return kSuccess;
}

}  // namespace vlm::cli
