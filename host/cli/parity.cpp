/** @file parity.cpp
 *  `vlmhost parity FOLDER…`: proves that a checkpoint gives the reference's numbers.
 *
 *  A folder holds a checkpoint, cases (inputs.json) and what the reference implementation made of them
 * (expected.safetensors), from pixels to generated ids. Each stage is compared, in order, so that the first one that
 * differs is named: that is where to look.
 */
#include <cstdio>
#include <iostream>

#include "host/cli/options.hpp"
#include "host/cli/parity_case.hpp"
#include "host/cli/progress.hpp"

namespace vlm::cli {
namespace {

const char* const kIntro =
    "vlmhost parity FOLDER...: runs reference folders in f32 and compares every stage with expected.safetensors.\n\n"
    "Tolerance: 2e-4 absolute or 2e-5 of the tensor's largest value, whichever is larger; 1e-5 for pixels; integers\n"
    "and greedy tokens equal. Exit status 1 when a stage differs; the first such stage is named.\n";

void print_comparison(const Comparison& c) {
    if (c.integer)
        std::printf("    %-28s %s%s\n", c.name.c_str(), c.passed ? "equal" : "DIFFERS",
                    c.note.empty() ? "" : (" (" + c.note + ")").c_str());
    else
        std::printf("    %-28s max-abs %.2e  cosine %.7f  %s%s\n", c.name.c_str(), c.max_abs, c.cosine,
                    c.passed ? "ok" : "DIFFERS", c.note.empty() ? "" : (" (" + c.note + ")").c_str());
}

}  // namespace

int parity_command(const Arguments& arguments) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("folder", po::value<std::vector<std::string>>()->composing(), "reference folder (also without --folder)");
    add("device", po::value<std::string>()->default_value("cpu"), "cpu, cuda or cuda:N");
    add("dtype", po::value<std::string>()->default_value("f32"), "f32 or bf16 (bf16 only reports, see --tolerance)");
    add("weights", po::value<std::string>()->default_value("auto"),
        "f32, f16, bf16, int8, int4, fp8 (GPUs that have it) or auto");
    add("threads", po::value<int64_t>()->default_value(0), "CPU threads; 0: one per core");
    add("tolerance", po::value<double>()->default_value(2e-4), "absolute tolerance");
    add("plugin-path", po::value<std::vector<std::string>>()->composing(), "folder or library to look in first");
    add("quiet", "print one line per folder");
    po::positional_options_description positional;
    positional.add("folder", -1);
    const auto values = parse(arguments, options, positional, kIntro);
    if (!values) return kSuccess;
    if (!values->contains("folder")) throw invalid_argument("parity needs at least one reference folder; see --help");
    const bool quiet = values->contains("quiet");

    ParityOptions parity;
    parity.device = (*values)["device"].as<std::string>();
    parity.dtype = (*values)["dtype"].as<std::string>();
    parity.weights = (*values)["weights"].as<std::string>();
    parity.threads = (*values)["threads"].as<int64_t>();
    parity.tolerance = (*values)["tolerance"].as<double>();
    if (values->contains("plugin-path"))
        for (const auto& path : (*values)["plugin-path"].as<std::vector<std::string>>())
            parity.plugin_folders.emplace_back(path);

    int failed = 0;
    for (const auto& folder : (*values)["folder"].as<std::vector<std::string>>()) {
        if (!quiet) std::printf("%s\n", folder.c_str());
        std::string first_difference;
        size_t compared = 0;
        try {
            for (const auto& result : run_parity(folder, parity)) {
                if (!quiet) std::printf("  case %zu\n", result.index);
                for (const auto& comparison : result.comparisons) {
                    ++compared;
                    if (!quiet) print_comparison(comparison);
                    if (!comparison.passed && first_difference.empty())
                        first_difference = "case " + std::to_string(result.index) + ": " + comparison.name;
                }
                if (!quiet && !result.not_compared.empty()) {
                    std::printf("    not compared:");
                    for (const auto& name : result.not_compared) std::printf(" %s", name.c_str());
                    std::puts("");
                }
            }
            if (compared == 0) first_difference = "nothing could be compared";
        } catch (const Error& error) {
            first_difference = error.what();
        }
        if (first_difference.empty())
            std::printf("%s: passed, %zu tensors\n", folder.c_str(), compared);
        else
            std::printf("%s: FAILED, first at %s\n", folder.c_str(), first_difference.c_str());
        std::fflush(stdout);
        failed += first_difference.empty() ? 0 : 1;
    }
    return failed == 0 ? kSuccess : kFailure;
}

}  // namespace vlm::cli
