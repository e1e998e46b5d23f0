/** @file report.cpp
 *  See report.hpp.
 */
#include "host/bench/report.hpp"

#include <cmath>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "host/base/error.hpp"
#include "host/json/document.hpp"
#include "host/json/writer.hpp"

namespace vlm::bench {
namespace {

constexpr double kMilli = 1e-3;
constexpr double kMega = 1e6;

double share_of_peak(const Report& report, const Stage& stage) {
    return stage.flops / (stage.ms.median() * kMilli) / report.peak.operations_per_s;
}

double share_of_bandwidth(const Report& report, const Stage& stage) {
    return stage.bytes / (stage.ms.median() * kMilli) / report.peak.read_bytes_per_s;
}

double rate(const Stage& stage) {
    return static_cast<double>(stage.tokens) / (stage.ms.median() * kMilli);
}

/** Numbers as a report needs them: six digits. */
double rounded(double value) {
    char text[32];
    std::snprintf(text, sizeof(text), "%.6g", value);
    return std::strtod(text, nullptr);
}

void write_series(json::Writer& w, const char* key, const Series& series) {
    w.key(key).begin_object().member("min", rounded(series.min())).member("median", rounded(series.median()));
    w.member("max", rounded(series.max())).member("quartile_1", rounded(series.quantile(0.25)));
    w.member("quartile_3", rounded(series.quantile(0.75))).member("count", series.values.size()).end_object();
}

__attribute__((format(printf, 2, 3))) void append(std::string& text, const char* format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    text += line;
}

/** A series of the old report. */
struct Old {
    double median = 0, spread = 0;
};

/** Half the distance of the quartiles, relative to the median: one disturbed run does not count. */
double relative_spread(double quartile_1, double median, double quartile_3) {
    return median > 0 ? (quartile_3 - quartile_1) / 2 / median : 0;
}

Old read_series(const json::Value& value) {
    constexpr double kPositive = 1e-9;
    const double median = value["median"].as_number(kPositive);
    return {median, relative_spread(value["quartile_1"].as_number(), median, value["quartile_3"].as_number())};
}

void compare_line(std::string& text, const std::string& name, const Old& old, const Series& now) {
    const double spread = relative_spread(now.quantile(0.25), now.median(), now.quantile(0.75));
    const double ratio = old.median / now.median();
    const double noise = std::hypot(old.spread, spread);
    append(text, "  %-16s %10.2f %10.2f ms %8.2fx  +- %3.0f %%%s\n", name.c_str(), old.median, now.median(), ratio,
           noise * 100, std::fabs(std::log(ratio)) <= noise ? "  (within the noise)" : "");
}

}  // namespace

std::string to_json(const Report& report) {
    json::Writer w;
    w.begin_object().member("subject", report.subject).member("device", report.device);
    w.member("threads", report.threads).member("runs", report.runs);
    w.key("machine").begin_object().member("operations_per_s", rounded(report.peak.operations_per_s));
    w.member("kind", report.peak.operations_kind);
    w.member("read_bytes_per_s", rounded(report.peak.read_bytes_per_s)).end_object();
    write_series(w, "load_ms", report.load_ms);
    if (!report.start.first_token_ms.values.empty()) {
        w.key("start").begin_object();
        write_series(w, "first_token_ms", report.start.first_token_ms);
        write_series(w, "compute_ms", report.start.compute_ms);
        write_series(w, "peak_mb", report.start.peak_mb);
        w.end_object();
    }
    w.key("stages").begin_object();
    for (const Stage& stage : report.stages) {
        w.key(stage.name).begin_object();
        write_series(w, "ms", stage.ms);
        if (stage.flops > 0)
            w.member("flops", stage.flops).member("share_of_peak", rounded(share_of_peak(report, stage)));
        if (stage.bytes > 0)
            w.member("bytes", stage.bytes).member("share_of_bandwidth", rounded(share_of_bandwidth(report, stage)));
        if (stage.tokens > 0) w.member("tokens", stage.tokens).member("tokens_per_s", rounded(rate(stage)));
        w.end_object();
    }
    w.end_object();
    w.key("memory").begin_object().member("weights", report.weight_bytes).member("checkpoint", report.checkpoint_bytes);
    w.member("scratch", report.scratch_bytes).member("peak_mb", rounded(report.peak_mb)).end_object().end_object();
    return w.take();
}

std::string to_text(const Report& report) {
    std::string text;
    append(text, "%s on %s, %d runs\n", report.subject.c_str(), report.device.c_str(), report.runs);
    append(text, "this machine now: %.0f G operations/s (%s), reading %.1f GB/s, %d threads\n\n",
           report.peak.operations_per_s / 1e9, report.peak.operations_kind.c_str(), report.peak.read_bytes_per_s / 1e9,
           report.threads);
    append(text, "  %-16s %10s %10s %10s    %10s  %s\n", "", "min", "median", "max", "tokens/s",
           "of the machine's peak");
    append(text, "  %-16s %10.2f %10.2f %10.2f ms\n", "load", report.load_ms.min(), report.load_ms.median(),
           report.load_ms.max());
    for (const Stage& stage : report.stages) {
        append(text, "  %-16s %10.2f %10.2f %10.2f ms", stage.name.c_str(), stage.ms.min(), stage.ms.median(),
               stage.ms.max());
        if (stage.tokens > 0) append(text, " %10.1f ", rate(stage));
        if (stage.bytes > 0)
            append(text, " %3.0f %% of bandwidth", 100 * share_of_bandwidth(report, stage));
        else if (stage.flops > 0)
            append(text, " %3.0f %% of arithmetic", 100 * share_of_peak(report, stage));
        text += '\n';
    }
    const StartTimes& start = report.start;
    if (!start.first_token_ms.values.empty())
        append(text,
               "\n  process start to first token %.0f ms (median), of it %.0f ms computing; peak memory %.0f MB\n",
               start.first_token_ms.median(), start.compute_ms.median(), start.peak_mb.median());
    append(text, "\n  memory: packed weights %.0f MB (%.0f MB in the checkpoint), scratch %.0f MB, peak %.0f MB\n",
           static_cast<double>(report.weight_bytes) / kMega, static_cast<double>(report.checkpoint_bytes) / kMega,
           static_cast<double>(report.scratch_bytes) / kMega, report.peak_mb);
    return text;
}

std::string compare(const std::string& old_json, const std::string& name, const Report& now) {
    const json::Document document = json::Document::from_text(old_json, name);
    const json::Value old = document.root();
    std::string text;
    append(text, "\ncompared with %s: %s on %s\n  %-16s %10s %10s\n", name.c_str(), old["subject"].as_string().c_str(),
           old["device"].as_string().c_str(), "", "then", "now");
    compare_line(text, "load", read_series(old["load_ms"]), now.load_ms);
    for (const Stage& stage : now.stages) {
        const auto then = old["stages"].find(stage.name);
        if (then)
            compare_line(text, stage.name, read_series((*then)["ms"]), stage.ms);
        else
            append(text, "  %-16s was not measured then\n", stage.name.c_str());
    }
    append(text, "  %-16s %10.0f %10.0f MB\n", "peak memory", old["memory"]["peak_mb"].as_number(), now.peak_mb);
    return text;
}

}  // namespace vlm::bench
