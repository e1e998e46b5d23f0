/** @file check.cpp
 *  `vlmhost check PLUGIN.so`: does a plugin keep the contract of docs/abi.md?
 */
#include <cstdio>

#include "host/check/checker.hpp"
#include "host/cli/options.hpp"
#include "host/json/writer.hpp"

namespace vlm::cli {
namespace {

const char* status_word(Verdict::Status status) {
    return status == Verdict::Status::pass ? "pass" : status == Verdict::Status::skip ? "skip" : "fail";
}

std::string report_json(const CheckOptions& options, const std::vector<RuleResult>& results, size_t failed) {
    json::Writer writer(2);
    writer.begin_object().member("plugin", options.library.string()).member("seed", options.seed);
    writer.member("passed", failed == 0).key("rules").begin_array();
    for (const auto& result : results) {
        writer.begin_object().member("rule", result.id).member("title", result.title);
        writer.member("status", status_word(result.verdict.status)).member("message", result.verdict.message);
        writer.member("output", result.verdict.output).member("ms", result.verdict.milliseconds).end_object();
    }
    return writer.end_array().end_object().take();
}

}  // namespace

int check_command(const Arguments& arguments) {
    po::options_description all("Options");
    auto add = all.add_options();
    add("plugin", po::value<std::string>(), "library to check");
    add("options", po::value<std::string>()->default_value("{}"),
        "JSON object that makes a component of the plugin; without it some rules cannot be checked");
    add("model", po::value<std::string>()->default_value("{}"), "JSON object: config.json as the component sees it");
    add("seed", po::value<uint64_t>()->default_value(1), "of everything that is random");
    add("only", po::value<std::vector<std::string>>()->composing(), "check only this rule (VLM-P-03); repeat");
    add("limit", po::value<int>()->default_value(20), "seconds for each check");
    add("json", "print one JSON object");
    po::positional_options_description positional;
    positional.add("plugin", 1);
    const auto values =
        parse(arguments, all, positional,
              "vlmhost check PLUGIN.so: checks a plugin against the contract (docs/abi.md), each rule in a child "
              "process.\n");
    if (!values) return kSuccess;
    if (!values->contains("plugin")) throw invalid_argument("give the library to check; see --help");

    CheckOptions options;
    options.library = (*values)["plugin"].as<std::string>();
    options.options = (*values)["options"].as<std::string>();
    options.model = (*values)["model"].as<std::string>();
    options.seed = (*values)["seed"].as<uint64_t>();
    options.limit_ms = std::max(1, (*values)["limit"].as<int>()) * 1000;
    if (values->contains("only")) options.only = (*values)["only"].as<std::vector<std::string>>();
    const bool json = values->contains("json");

    size_t failed = 0;
    size_t skipped = 0;
    const auto results = check_plugin(options, [&](const RuleResult& result) {
        failed += result.verdict.status == Verdict::Status::fail ? 1 : 0;
        skipped += result.verdict.status == Verdict::Status::skip ? 1 : 0;
        if (json) return;
        std::printf("%s  %s  %s\n", status_word(result.verdict.status), result.id.c_str(), result.title.c_str());
        if (!result.verdict.message.empty()) std::printf("      %s\n", result.verdict.message.c_str());
        std::fflush(stdout);
    });
    if (json)
        std::printf("%s\n", report_json(options, results, failed).c_str());
    else
        std::printf("%zu of %zu rules kept, %zu broken, %zu not checkable (seed %llu)\n",
                    results.size() - failed - skipped, results.size(), failed, skipped,
                    static_cast<unsigned long long>(options.seed));
    return failed == 0 ? kSuccess : kFailure;
}

}  // namespace vlm::cli
