/** @file bench_scaling.cpp
 *  Time against what makes it grow: prompt length, image size, batch and threads. Each row tells the time per unit too,
 *  which stays level where the cost is linear.
 */
#include <algorithm>
#include <cstdio>

#include "host/base/thread_pool.hpp"
#include "host/cli/bench.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

constexpr int64_t kLeastTokens = 256, kMostTokens = 8192;

/** Rows of one table as they are measured: printed at once for people, kept for JSON. */
class Tables {
  public:
    explicit Tables(bool json) : json_(json) { writer_.begin_object(); }

    void begin(const char* name, const char* unit) {
        unit_ = unit;
        writer_.key(name).begin_array();
        if (!json_) std::printf("\n%s\n  %14s %14s %10s %16s\n", name, unit, "stage", "ms", "units/s");
    }
    /** `units` is what one call works on. */
    void row(const std::string& size, const bench::Stage& stage, double units) {
        writer_.begin_object().member(unit_, size).member("stage", stage.name).member("ms", stage.ms.median());
        writer_.member("min_ms", stage.ms.min()).member("max_ms", stage.ms.max()).member("flops", stage.flops);
        writer_.member("units", units).end_object();
        if (json_) return;
        std::printf("  %14s %14s %10.2f %16.1f\n", size.c_str(), stage.name.c_str(), stage.ms.median(),
                    units / stage.ms.median() * 1e3);
        std::fflush(stdout);
    }
    void end() { writer_.end_array(); }
    void finish() {
        writer_.end_object();
        if (json_) std::printf("%s\n", writer_.take().c_str());
    }

  private:
    bool json_;
    const char* unit_ = "";
    json::Writer writer_;
};

}  // namespace

int bench_scaling(const po::variables_map& values) {
    Subject subject = subject_of(values);
    const auto pipeline = open_pipeline(values, subject.manifest);
    const int runs = values["runs"].as<int>();
    const int64_t context = values["context"].as<int64_t>(), steps = values["decode-steps"].as<int64_t>();
    Listeners listeners;
    listeners.cancelled = &interrupted();
    Tables tables(values.contains("json"));
    const bool people = !values.contains("json");
    if (people) std::printf("%s on %s\n", subject.name.c_str(), pipeline->devices().description().c_str());

    const Image page = bench_image(values, subject.manifest);
    bench::StageBench bench(*pipeline, page, listeners);
    const int64_t limit = pipeline->backbone().description().max_positions;
    tables.begin("prompt length", "tokens");
    for (int64_t tokens = kLeastTokens; tokens <= kMostTokens && (limit <= 0 || tokens + steps <= limit); tokens *= 2) {
        const auto text = std::to_string(tokens);
        tables.row(text, bench.prefill(tokens, runs), static_cast<double>(tokens));
        tables.row(text, bench.decode(1, tokens, steps, runs), 1);
    }
    tables.end();

    tables.begin("image size", "pixels");
    constexpr int kSides[] = {224, 336, 448, 672, 896, 1344};
    for (const int side : kSides) {
        bench::StageBench of_size(*pipeline, test_page(side, side), listeners);
        const bench::Stage stage = of_size.encode(runs);
        tables.row(std::to_string(side) + "x" + std::to_string(side), stage, static_cast<double>(stage.tokens));
    }
    tables.end();

    tables.begin("batch", "sequences");
    for (int64_t batch = 1; batch <= 16; batch *= 2)
        tables.row(std::to_string(batch), bench.decode(batch, context, steps, runs), static_cast<double>(batch));
    tables.end();

    tables.begin("threads", "threads");
    const int threads = ThreadPool::global().threads();
    for (int n = 1; n <= threads; n = n < threads ? std::min(2 * n, threads) : n + 1) {
        ThreadPool::global().set_threads(n);
        const auto text = std::to_string(n);
        const bench::Stage encode = bench.encode(runs);
        tables.row(text, encode, static_cast<double>(encode.tokens));
        tables.row(text, bench.prefill(context, runs), static_cast<double>(context));
        tables.row(text, bench.decode(1, context, steps, runs), 1);
    }
    ThreadPool::global().set_threads(threads);
    tables.end();
    tables.finish();
    return kSuccess;
}

}  // namespace vlm::cli
