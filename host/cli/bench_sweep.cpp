/** @file bench_sweep.cpp
 *  See bench_sweep.hpp.
 */
#include "host/cli/bench_sweep.hpp"

#include <cstdio>
#include <fstream>

#include "host/base/error.hpp"
#include "host/bench/reducer_sweep.hpp"
#include "host/cli/bench.hpp"
#include "host/cli/progress.hpp"

namespace vlm::cli {

void add_sweep_options(po::options_description& options) {
    auto add = options.add_options();
    add("sweep", po::value<std::string>(),
        "reducers: measure token reducers at several strengths, in turns, and write the curve for \"budget\"");
    add("thresholds", po::value<std::vector<std::string>>()->composing(),
        "with --sweep: files of vlmhost calibrate dymu, strongest last; default: calibrated on the image");
    add("only", po::value<std::vector<std::string>>()->composing(),
        "with --sweep: settings whose name has this in it, for example FastV; no reducer is always measured");
    add("text-tokens", po::value<int64_t>()->default_value(64), "with --sweep: text of the prompt beside the image");
    add("out", po::value<std::string>(), "with --sweep: file for the curve (JSON)");
}

int bench_sweep(const po::variables_map& values) {
    if (values["sweep"].as<std::string>() != "reducers")
        throw invalid_argument("--sweep \"" + values["sweep"].as<std::string>() + "\": only \"reducers\" can be swept");
    bench::SweepOptions options;
    options.runs = values["runs"].as<int>();
    options.text_tokens = values["text-tokens"].as<int64_t>();
    options.decode_steps = values["decode-steps"].as<int64_t>();
    if (options.text_tokens < 2) throw invalid_argument("--text-tokens must be at least 2");
    Subject subject = subject_of(values);
    if (!subject.manifest.token_reducers.empty() || subject.manifest.budget.given())
        throw invalid_argument(
            "--sweep brings its own token reducers; take \"token_reducers\" and \"budget\" out of the "
            "manifest");
    const NamedImage image{"page", bench_image(values, subject.manifest)};
    const auto pipeline = open_pipeline(values, subject.manifest);
    Listeners listeners;
    listeners.cancelled = &interrupted();
    std::vector<std::string> thresholds;
    if (values.contains("thresholds")) thresholds = values["thresholds"].as<std::vector<std::string>>();
    std::vector<std::string> only;
    if (values.contains("only")) only = values["only"].as<std::vector<std::string>>();
    const auto settings =
        bench::reducer_settings(*pipeline, image, {thresholds, only}, listeners,
                                [](const std::string& what) { std::fprintf(stderr, "left out: %s\n", what.c_str()); });
    if (settings.size() < 2) throw invalid_argument("--only leaves no setting to measure beside no reducer");
    ProgressBar bar("measuring", "rounds");
    const auto points = bench::sweep_reducers(*pipeline, image, settings, options, listeners,
                                              [&](int done, int total) { bar.update(done, total); });
    const std::string curve = bench::curve_json(*pipeline, subject.name, points, options);
    if (values.contains("out")) {
        const auto path = values["out"].as<std::string>();
        std::ofstream file(path, std::ios::binary);
        file << curve << '\n';
        if (!file.flush()) throw Error(VLM_STATUS_PERMISSION_DENIED, path + ": the curve cannot be written here");
    }
    if (values.contains("json"))
        std::printf("%s\n", curve.c_str());
    else
        std::printf("%s, %s, best of %d rounds\n\n%s", subject.name.c_str(), pipeline->devices().description().c_str(),
                    options.runs, bench::curve_table(points).c_str());
    return kSuccess;
}

}  // namespace vlm::cli
