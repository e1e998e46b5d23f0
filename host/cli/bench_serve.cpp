/** @file bench_serve.cpp
 *  `vlmhost bench --serve`: the process stays, and measures what it is told to, line by line. Whoever is compared on a
 *  shared machine must be measured within seconds of each other, and starting anew each time would take longer than
 *  what is measured. tools/bench/peers speaks this with vlmhost and with the peers alike.
 */
#include <algorithm>
#include <cstdio>
#include <iostream>

#include "host/base/error.hpp"
#include "host/base/thread_pool.hpp"
#include "host/cli/bench.hpp"
#include "host/json/document.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

constexpr int64_t kMostRuns = 100'000;

bench::Stage measure_stage(bench::StageBench& bench, const json::Document& request, int64_t context) {
    const std::string name =
        request["stage"].as_one_of({"preprocess", "encode", "connect", "prefill", "first token", "decode"});
    const auto number = [&](const char* key, int64_t least, int64_t otherwise) {
        const auto value = request.root().find(key);
        return value ? value->as_int(least, kMostRuns) : otherwise;
    };
    const int runs = static_cast<int>(number("runs", 0, 1));
    if (name == "preprocess") return bench.preprocess(runs);
    if (name == "encode") return bench.encode(runs);
    if (name == "connect") return bench.connect(runs);
    if (name == "prefill") return bench.prefill(context, runs);
    if (name == "first token") return bench.first_token(context, runs);
    return bench.decode(number("batch", 1, 1), context, number("steps", 1, 8), std::max(runs, 1));
}

}  // namespace

int bench_serve(const po::variables_map& values) {
    Subject subject = subject_of(values);
    const int64_t context = values["context"].as<int64_t>();
    const Image page = bench_image(values, subject.manifest);
    const auto pipeline = open_pipeline(values, subject.manifest);
    Listeners listeners;
    listeners.cancelled = &interrupted();
    bench::StageBench bench(*pipeline, page, listeners);
    const auto answer = [](json::Writer& writer) {
        std::printf("%s\n", writer.end_object().take().c_str());
        std::fflush(stdout);
    };
    json::Writer hello;
    hello.begin_object().member("name", "vlmhost").member("device", pipeline->devices().description());
    hello.member("threads", ThreadPool::global().threads());
    hello.member("weights", pipeline->devices().counters().weight_bytes);
    answer(hello);
    for (std::string line; std::getline(std::cin, line);) {
        const auto request = json::Document::from_text(line, "request");
        json::Writer w;
        w.begin_object();
        if (request["stage"].as_string() == "machine") {
            const auto peak = bench::measure_machine(peak_type(subject.manifest));
            w.member("operations_per_s", peak.operations_per_s).member("kind", peak.operations_kind);
            w.member("read_bytes_per_s", peak.read_bytes_per_s);
        } else {
            const bench::Stage stage = measure_stage(bench, request, context);
            w.key("ms").begin_array();
            for (const double ms : stage.ms.values) w.value(ms);
            w.end_array().member("flops", stage.flops).member("bytes", stage.bytes);
            w.member("peak_mb", peak_memory_mb());
        }
        answer(w);
    }
    return kSuccess;
}

}  // namespace vlm::cli
