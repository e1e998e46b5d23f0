/** @file bench_stages.cpp
 *  Stage by stage: first the machine's limits, then processes of their own for the start, while this one is still
 *  small, then the stages.
 */
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iterator>

#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/cli/bench.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

using Clock = std::chrono::steady_clock;

double since_ms(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

std::string read_file(const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    if (!file) throw not_found(path + ": cannot be read; --compare takes what --json printed earlier");
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

Listeners listeners() {
    Listeners l;
    l.cancelled = &interrupted();
    return l;
}

}  // namespace

int bench_stages(const Arguments& arguments, const po::variables_map& values) {
    // What is compared with is read first: a wrong name must not show after minutes.
    std::string old;
    if (values.contains("compare")) old = read_file(values["compare"].as<std::string>());
    const bool talk = !values.contains("json");
    const auto tell = [&](const std::string& what) {
        if (talk) std::fprintf(stderr, "measuring %s …\n", what.c_str());
    };
    Subject subject = subject_of(values);
    ThreadPool::global().set_threads(static_cast<int>(subject.manifest.threads));
    bench::Report report;
    report.subject = subject.name;
    report.runs = values["runs"].as<int>();
    tell("the machine");
    report.peak = bench::measure_machine(peak_type(subject.manifest));
    if (const int starts = values["starts"].as<int>(); starts > 0) {
        tell("the start");
        report.start = measure_start(arguments, starts);
    }
    tell("loading");
    const Image page = bench_image(values, subject.manifest);
    const auto loading = Clock::now();
    const auto pipeline = open_pipeline(values, subject.manifest);
    report.load_ms.add(since_ms(loading));
    report.device = pipeline->devices().description();
    report.threads = ThreadPool::global().threads();

    bench::StageBench bench(*pipeline, page, listeners());
    bench::StageOptions options;
    options.runs = report.runs;
    options.context = values["context"].as<int64_t>();
    options.decode_steps = values["decode-steps"].as<int64_t>();
    options.batches = number_list("batches", values["batches"].as<std::string>());
    report.stages = bench::measure_stages(bench, options, tell);
    const DeviceCounters counters = pipeline->devices().counters();
    report.weight_bytes = counters.weight_bytes;
    report.checkpoint_bytes = static_cast<int64_t>(pipeline->checkpoint().weights()->total_bytes());
    report.scratch_bytes = counters.peak_scratch_bytes;
    report.peak_mb = peak_memory_mb();
    std::printf("%s\n", (talk ? bench::to_text(report) : bench::to_json(report)).c_str());
    if (!old.empty())
        std::fputs(bench::compare(old, values["compare"].as<std::string>(), report).c_str(), talk ? stdout : stderr);
    return kSuccess;
}

int bench_first_token(const po::variables_map& values) {
    const Subject subject = subject_of(values);
    const Image page = bench_image(values, subject.manifest);
    const auto loading = Clock::now();
    const auto pipeline = open_pipeline(values, subject.manifest);
    const double load_ms = since_ms(loading);
    bench::StageBench bench(*pipeline, page, listeners());
    const auto computing = Clock::now();
    bench.first_token(bench.context_of(values["context"].as<int64_t>()), 0);
    json::Writer writer;
    writer.begin_object().member("load_ms", load_ms).member("compute_ms", since_ms(computing));
    writer.member("peak_mb", peak_memory_mb()).end_object();
    std::printf("%s\n", writer.take().c_str());
    return kSuccess;
}

}  // namespace vlm::cli
