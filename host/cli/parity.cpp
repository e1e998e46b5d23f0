/** @file parity.cpp
 *  `vlmhost parity FOLDER…`: proves that a checkpoint gives the reference's numbers.
 *
 *  A folder holds a checkpoint, cases (inputs.json) and what the reference implementation made of them
 * (expected.safetensors), from pixels to generated ids. Each stage is compared, in order, so that the first one that
 * differs is named: that is where to look.
 */
#include <algorithm>
#include <cmath>
#include <cstdio>

#include "host/cli/options.hpp"
#include "host/cli/parity_case.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

const char* const kIntro =
    "vlmhost parity FOLDER...: runs reference folders in f32 and compares every stage with expected.safetensors.\n\n"
    "Tolerance: 2e-4 absolute or 2e-5 of the tensor's largest value, whichever is larger; 1e-5 for pixels; integers\n"
    "and greedy tokens equal. Exit status 1 when a stage differs; the first such stage is named.\n\n"
    "References are f32, so bf16 and quantised weights must differ: without --tolerance their differences are only\n"
    "told. What is not a number, or has another shape, fails always.\n";

/** What came of one folder. */
struct FolderReport {
    std::string folder;
    bool judged = true;  ///< Whether differences beyond the tolerance count.
    std::vector<CaseResult> cases;
    std::string failure;  ///< The first difference that counts, or why there was nothing to compare; empty: passed.

    template <class Call>
    void for_each_tensor(Call&& call) const {
        for (const auto& result : cases)
            for (const auto& comparison : result.comparisons) call(result, comparison);
    }
    size_t compared() const {
        size_t count = 0;
        for (const auto& result : cases) count += result.comparisons.size();
        return count;
    }
};

bool counts(const FolderReport& report, const Comparison& c) {
    return !c.passed && (report.judged || (!c.integer && !std::isfinite(c.max_abs)));
}

FolderReport compare_folder(const std::string& folder, const ParityOptions& options, bool judged) {
    FolderReport report;
    report.folder = folder;
    report.judged = judged;
    try {
        report.cases = run_parity(folder, options);
        if (report.compared() == 0) report.failure = "nothing could be compared";
        report.for_each_tensor([&](const CaseResult& result, const Comparison& c) {
            if (report.failure.empty() && counts(report, c))
                report.failure = "case " + std::to_string(result.index) + ": " + c.name;
        });
    } catch (const Error& error) {
        report.failure = error.what();
    }
    return report;
}

void print_comparison(const FolderReport& report, const Comparison& c) {
    const std::string note = c.note.empty() ? "" : " (" + c.note + ")";
    const bool fails = counts(report, c);
    if (c.integer)
        std::printf("    %-28s %s%s\n", c.name.c_str(),
                    c.passed ? "equal"
                    : fails  ? "DIFFERS"
                             : "differs",
                    note.c_str());
    else
        std::printf("    %-28s max-abs %.2e  cosine %.7f%s%s\n", c.name.c_str(), c.max_abs, c.cosine,
                    fails           ? "  DIFFERS"
                    : report.judged ? "  ok"
                                    : "",
                    note.c_str());
}

void print_cases(const FolderReport& report) {
    std::printf("%s\n", report.folder.c_str());
    for (const auto& result : report.cases) {
        std::printf("  case %zu\n", result.index);
        for (const auto& comparison : result.comparisons) print_comparison(report, comparison);
        if (result.not_compared.empty()) continue;
        std::printf("    not compared:");
        for (const auto& name : result.not_compared) std::printf(" %s", name.c_str());
        std::puts("");
    }
}

void print_verdict(const FolderReport& report) {
    const char* const folder = report.folder.c_str();
    if (!report.failure.empty()) {
        std::printf("%s: FAILED, first at %s\n", folder, report.failure.c_str());
    } else if (report.judged) {
        std::printf("%s: passed, %zu tensors\n", folder, report.compared());
    } else {
        const Comparison* farthest = nullptr;
        size_t integers = 0;
        size_t equal = 0;
        report.for_each_tensor([&](const CaseResult&, const Comparison& c) {
            integers += c.integer ? 1 : 0;
            equal += c.integer && c.passed ? 1 : 0;
            if (!c.integer && (farthest == nullptr || c.cosine < farthest->cosine)) farthest = &c;
        });
        std::printf("%s: told, not judged: %zu tensors", folder, report.compared());
        if (farthest != nullptr) std::printf(", lowest cosine %.7f (%s)", farthest->cosine, farthest->name.c_str());
        std::printf(", %zu of %zu integer tensors equal\n", equal, integers);
    }
}

std::string to_json(const FolderReport& report) {
    json::Writer writer;
    writer.begin_object().member("folder", report.folder).member("judged", report.judged);
    writer.member("passed", report.failure.empty()).member("failure", report.failure).key("cases").begin_array();
    for (const auto& result : report.cases) {
        writer.begin_object().member("index", result.index).key("tensors").begin_array();
        for (const auto& c : result.comparisons) {
            writer.begin_object().member("name", c.name).member("within_tolerance", c.passed);
            if (!c.integer) writer.member("max_abs", c.max_abs).member("cosine", c.cosine);
            writer.member("note", c.note).end_object();
        }
        writer.end_array().key("not_compared").begin_array();
        for (const auto& name : result.not_compared) writer.value(name);
        writer.end_array().end_object();
    }
    return writer.end_array().end_object().take();
}

}  // namespace

int parity_command(const Arguments& arguments) {
    po::options_description options("Options");
    auto add = options.add_options();
    add("folder", po::value<std::vector<std::string>>()->composing(), "reference folder (also without --folder)");
    add("device", po::value<std::string>()->default_value("cpu"), "cpu, cuda or cuda:N");
    add("dtype", po::value<std::string>()->default_value("f32"), "f32 or bf16");
    add("weights", po::value<std::string>()->default_value("auto"),
        "f32, f16, bf16, int8, int4, fp8 (GPUs that have it) or auto");
    add("threads", po::value<int64_t>()->default_value(0), "CPU threads; 0: one per core");
    add("tolerance", po::value<double>(), "absolute tolerance; default: 2e-4 where all is f32");
    add("plugin-path", po::value<std::vector<std::string>>()->composing(), "folder or library to look in first");
    add("quiet", "print one line per folder");
    add("json", "print one JSON object per folder, each on a line");
    po::positional_options_description positional;
    positional.add("folder", -1);
    const auto values = parse(arguments, options, positional, kIntro);
    if (!values) return kSuccess;
    if (!values->contains("folder")) throw invalid_argument("parity needs at least one reference folder; see --help");

    ParityOptions parity;
    parity.device = (*values)["device"].as<std::string>();
    parity.dtype = (*values)["dtype"].as<std::string>();
    parity.weights = (*values)["weights"].as<std::string>();
    parity.threads = (*values)["threads"].as<int64_t>();
    if (values->contains("tolerance")) parity.tolerance = (*values)["tolerance"].as<double>();
    if (values->contains("plugin-path"))
        for (const auto& path : (*values)["plugin-path"].as<std::vector<std::string>>())
            parity.plugin_folders.emplace_back(path);
    const bool exact = parity.dtype == "f32" && (parity.weights == "auto" || parity.weights == "f32");
    const bool judged = exact || values->contains("tolerance");

    bool failed = false;
    for (const auto& folder : (*values)["folder"].as<std::vector<std::string>>()) {
        const FolderReport report = compare_folder(folder, parity, judged);
        if (values->contains("json")) {
            std::puts(to_json(report).c_str());
        } else {
            if (!values->contains("quiet")) print_cases(report);
            print_verdict(report);
        }
        std::fflush(stdout);
        failed |= !report.failure.empty();
    }
    return failed ? kFailure : kSuccess;
}

}  // namespace vlm::cli
