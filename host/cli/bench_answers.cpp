/** @file bench_answers.cpp
 *  Measures whole answers of any pipeline.
 *
 *  The same request is answered several times by one open pipeline, and the spans that the stages record anyway are
 * collected. The first answer warms caches and is not counted. Spread is shown as minimum, median and maximum, because
 * a mean hides the one slow run that a user remembers.
 */
#include <chrono>
#include <cstdio>
#include <map>

#include "host/bench/series.hpp"
#include "host/cli/bench.hpp"
#include "host/image/decode.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

using Clock = std::chrono::steady_clock;

double since_ms(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

}  // namespace

int bench_answers(const po::variables_map& values) {
    const int runs = values["runs"].as<int>();
    Manifest manifest = manifest_from(values);
    Request request;
    if (values.contains("prompt"))
        request.prompt = values["prompt"].as<std::string>();
    else if (manifest.prompt.empty())
        request.prompt = "Describe this image.";
    if (values.contains("image")) {
        DecodeLimits limits;
        limits.max_pixels = static_cast<uint64_t>(manifest.image.max_pixels);
        for (const auto& file : values["image"].as<std::vector<std::string>>())
            request.images.push_back({file, decode_file(file, limits)});
    } else {
        request.images.push_back({"drawn page", bench_image(values, manifest)});
    }

    const auto loading = Clock::now();
    const auto pipeline = open_pipeline(values, manifest);
    std::map<std::string, bench::Series> series;
    series["load"].add(since_ms(loading));

    GenerationOptions options = pipeline->manifest().generation;
    options.max_new_tokens = values["new-tokens"].as<int64_t>();
    // Rows of a page end at their own length; elsewhere a fixed length makes runs comparable.
    options.ignore_eos = !pipeline->manifest().image.split_rows;
    Listeners listeners;
    listeners.cancelled = &interrupted();
    TokenCounts tokens;
    bench::Series rate;
    for (int run = 0; run <= runs; ++run) {
        Trace trace;
        const auto begin = Clock::now();
        const Result result = pipeline->answer({request}, options, listeners, {}, &trace).front();
        const double total = since_ms(begin);
        tokens = result.tokens;
        if (run == 0) continue;
        const auto stages = trace.totals_ms();
        for (const auto& [stage, ms] : stages) series[stage].add(ms);
        series["end to end"].add(total);
        // Each sequence's first token comes from the prefill.
        const auto decode = stages.find("decode");
        const auto decoded = tokens.generated - static_cast<int64_t>(result.answers.size());
        if (decode != stages.end() && decode->second > 0 && decoded > 0)
            rate.add(static_cast<double>(decoded) / decode->second * 1e3);
    }

    if (values.contains("json")) {
        json::Writer writer;
        const auto summary = [&](const bench::Series& s) {
            writer.begin_object().member("min", s.min()).member("median", s.median());
            writer.member("max", s.max()).end_object();
        };
        writer.begin_object().member("device", pipeline->devices().description()).member("runs", runs);
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
    std::printf("%s, %d runs\n  %-14s %10s %10s %10s\n", pipeline->devices().description().c_str(), runs, "", "min",
                "median", "max");
    for (const auto& [name, s] : series)
        std::printf("  %-14s %10.2f %10.2f %10.2f ms\n", name.c_str(), s.min(), s.median(), s.max());
    if (!rate.values.empty())
        std::printf("  %-14s %10.1f %10.1f %10.1f tokens/s\n", "decode", rate.min(), rate.median(), rate.max());
    std::printf("  %lld visual, %lld text, %lld generated tokens; peak %.0f MB\n",
                static_cast<long long>(tokens.visual), static_cast<long long>(tokens.text),
                static_cast<long long>(tokens.generated), peak_memory_mb());
    return kSuccess;
}

}  // namespace vlm::cli
