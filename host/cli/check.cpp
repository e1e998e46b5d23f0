/** @file check.cpp
 *  `vlmhost check PLUGIN.so`: does a plugin keep the contract of docs/abi.md?
 */
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

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

/** Text inside an XML attribute; bytes that XML cannot have become question marks. */
std::string xml(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (c == '&')
            result += "&amp;";
        else if (c == '<')
            result += "&lt;";
        else if (c == '"')
            result += "&quot;";
        else
            result += (c >= 0 && c < ' ') || c == 0x7F || static_cast<unsigned char>(c) >= 0x80 ? '?' : c;
    }
    return result;
}

/** As build servers read it: one test suite, one test case per rule. */
std::string report_junit(const CheckOptions& options, const std::vector<RuleResult>& results, size_t failed,
                         size_t skipped) {
    constexpr double kMilli = 1e-3;
    std::string cases;
    double seconds = 0;
    for (const auto& result : results) {
        const auto& verdict = result.verdict;
        seconds += verdict.milliseconds * kMilli;
        cases += "  <testcase classname=\"" + xml(options.library.filename().string()) + "\" name=\"" +
                 xml(result.id + " " + result.title) + "\" time=\"" + json::number_text(verdict.milliseconds * kMilli) +
                 "\">";
        if (verdict.status != Verdict::Status::pass)
            cases += std::string(verdict.status == Verdict::Status::fail ? "<failure" : "<skipped") + " message=\"" +
                     xml(verdict.message) + "\"/>";
        cases += "</testcase>\n";
    }
    return "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuite name=\"vlmhost check " +
           xml(options.library.string()) + ", seed " + std::to_string(options.seed) + "\" tests=\"" +
           std::to_string(results.size()) + "\" failures=\"" + std::to_string(failed) + "\" skipped=\"" +
           std::to_string(skipped) + "\" time=\"" + json::number_text(seconds) + "\">\n" + cases + "</testsuite>\n";
}

/** A JSON object of the command line. A slip there is the caller's and no fault of the plugin, which must not be
 * skipped for it. */
std::string json_object(const std::string& text, const char* option) {
    if (!nlohmann::json::parse(text, nullptr, false).is_object())
        throw invalid_argument(std::string(option) + ": expected a JSON object, such as '{\"r\": [3]}', found " + text);
    return text;
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
    add("time-limit", po::value<int>()->default_value(0),
        "seconds for all checks; rules that do not fit are skipped and say so; 0: none");
    add("checkpoint", po::value<std::string>(),
        "checkpoint folder whose stage of the plugin's kind gives configuration and weights");
    add("json", "print one JSON object");
    add("junit", po::value<std::string>(), "write the results to this file as JUnit XML, for build servers");
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
    options.options = json_object((*values)["options"].as<std::string>(), "--options");
    options.model = json_object((*values)["model"].as<std::string>(), "--model");
    options.seed = (*values)["seed"].as<uint64_t>();
    options.limit_ms = std::max(1, (*values)["limit"].as<int>()) * 1000;
    options.total_ms = std::max(0, (*values)["time-limit"].as<int>()) * 1000;
    if (values->contains("checkpoint")) options.checkpoint = (*values)["checkpoint"].as<std::string>();
    if (values->contains("only")) options.only = (*values)["only"].as<std::vector<std::string>>();
    const bool json = values->contains("json");

    size_t failed = 0;
    size_t skipped = 0;
    std::map<std::string, std::string> told;  // message → the rule that it was printed for first
    const auto results = check_plugin(options, [&](const RuleResult& result) {
        failed += result.verdict.status == Verdict::Status::fail ? 1 : 0;
        skipped += result.verdict.status == Verdict::Status::skip ? 1 : 0;
        if (json) return;
        std::printf("%s  %s  %s\n", status_word(result.verdict.status), result.id.c_str(), result.title.c_str());
        // What keeps a file from being a plugin keeps it from every rule.
        const auto& message = result.verdict.message;
        const auto [first, is_new] = told.try_emplace(message, result.id);
        if (!message.empty()) std::printf("      %s\n", (is_new ? message : "as " + first->second).c_str());
        std::fflush(stdout);
    });
    if (values->contains("junit")) {
        const std::string path = (*values)["junit"].as<std::string>();
        std::ofstream file(path, std::ios::binary);
        file << report_junit(options, results, failed, skipped);
        file.close();
        if (!file) throw Error(VLM_STATUS_PERMISSION_DENIED, path + ": the JUnit report cannot be written");
    }
    if (json)
        std::printf("%s\n", report_json(options, results, failed).c_str());
    else
        std::printf("%zu of %zu rules kept, %zu broken, %zu not checkable (seed %llu)\n",
                    results.size() - failed - skipped, results.size(), failed, skipped,
                    static_cast<unsigned long long>(options.seed));
    return failed == 0 ? kSuccess : kFailure;
}

}  // namespace vlm::cli
